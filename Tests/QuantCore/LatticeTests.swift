import QuantCore
import TestSupport
import Testing

@testable import QuantConversion

/// Weights that lie on a grid already, made by torch (Interop/make_lattice_fixtures.py).
@Suite struct LatticeTests {
  static let tensors = Dictionary(
    storedTensors(SharedData.fixture("floats/lattices.safetensors")).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  static let types: [ElementType] = [.bf16, .f16, .f32]

  /// Grids of the core with the schemes that hold them.
  static let grids = [
    ("int4-g128", "int4-g128"), ("int4-g32", "int4-g32"), ("int4-g64-asym", "int4-g64-asym"), ("int3-g64-asym", "int3-g64-asym"),
    ("int8-channel", "int8-channel"), ("int2-g32", "int2-g32"), ("fp8-channel", "fp8-channel"), ("mxfp4", "mxfp4"),
  ]

  private func tensor(_ name: String) throws -> CheckpointTensor { try #require(LatticeTests.tensors[name]) }

  private func scheme(_ name: String, _ modelType: ElementType = .f32) throws -> any Scheme {
    let providers: [any SchemeProvider.Type] = [IntegerSchemes.self, Float8Schemes.self, MicroscalingSchemes.self]
    return try #require(providers.lazy.compactMap { $0.scheme(named: name, modelType: modelType) }.first)
  }

  /// The parameters that a scheme finds for each tile of a tensor, row after row.
  private func parameters(_ tensor: CheckpointTensor, _ scheme: any Scheme, _ type: ElementType) throws -> [[Float]?] {
    let matrix = tensor.matrix(), length = scheme.groupLength(columns: matrix.columns)
    return stride(from: 0, to: matrix.values.count, by: length).map { start in
      matrix.values[start..<start + length].withUnsafeBufferPointer { scheme.exactParameters(of: $0, storedIn: type) }
    }
  }

  @Test(arguments: grids, types) func theGridIsFoundWithItsCodes(_ grid: (name: String, scheme: String), _ type: ElementType) throws {
    let stored = try tensor("\(grid.name).\(type.schemeName)"), scheme = try scheme(grid.scheme)
    #expect(stored.lies(on: scheme))
    let matrix = stored.matrix(), expected = try tensor("\(grid.name).codes")
    var panel = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
    panel.parameters = try parameters(stored, scheme, type).flatMap { try #require($0) }
    matrix.withPanel { scheme.nearest($0, columns: 0..<matrix.columns, into: &panel) }
    // Codes as the values that scales are multiplied by.
    let ones = scheme.parameterCount
    var unit = panel
    for index in stride(from: 0, to: unit.parameters.count, by: ones) { unit.parameters[index] = 1 }
    let owed: [Float] =
      expected.storage.elementType == .f32
      ? expected.matrix().values
      : try #require(expected.storage.verbatim).withUnsafeBytes { $0.bindMemory(to: Int32.self).map { Float($0) } }
    #expect(scheme.values(unit) == owed)
    // Each value rounds to the weight that is stored.
    for (value, weight) in zip(scheme.values(panel), matrix.values) { #expect(NumberConversion.rounded(value, to: type) == weight) }
    // In 32 bits nothing is lost, so the scales are the original ones.
    let scales = try tensor("\(grid.name).scales").matrix().values
    if type == .f32 { #expect(stride(from: 0, to: panel.parameters.count, by: ones).map { panel.parameters[$0] } == scales) }
  }

  /// Q4_0 gives the largest magnitude the code -8 whatever its sign.
  @Test(arguments: types) func scalesMayBeNegative(_ type: ElementType) throws {
    let stored = try tensor("q4_0.\(type.schemeName)"), scheme = try scheme("int4-g32", .f16)
    let found = try parameters(stored, scheme, type).map { try #require($0)[0] }
    let scales = try tensor("q4_0.scales").matrix().values
    #expect(scales.contains { $0 < 0 } && scales.contains { $0 > 0 })
    // A group that never uses the code -8 fits both signs.
    for (scale, owed) in zip(found, scales) { #expect(abs(scale.magnitude / owed.magnitude - 1) < (type == .bf16 ? 0.004 : 1e-6)) }
    #expect(!stored.lies(on: try self.scheme("int3-g32")))
  }

  @Test(arguments: types) func ordinaryWeightsLieOnNoGrid(_ type: ElementType) throws {
    let stored = try tensor("random.\(type.schemeName)")
    for name in LatticeTests.grids.map(\.1) + ["int8-g32", "int8-g32-asym", "fp8-block128", "mxfp8", "fp8e5m2-channel"] {
      #expect(!stored.lies(on: try scheme(name)), "\(name)")
    }
  }

  @Test func coarserGroupsAndFewerBitsDoNotFit() throws {
    for (name, other) in [
      ("int4-g32", "int4-g64"), ("int4-g128", "int3-g128"), ("int4-g64-asym", "int4-g64"), ("int8-channel", "fp8-channel"),
    ] {
      #expect(!(try tensor(name + ".f16").lies(on: try scheme(other))), "\(other)")
    }
    // Shorter groups and more bits do.
    for (name, other) in [("int4-g128", "int4-g32"), ("int4-g128", "int8-g128"), ("int4-g128", "int4-g64-asym"), ("mxfp4", "int5-g32")] {
      #expect(try tensor(name + ".f16").lies(on: try scheme(other)), "\(other)")
    }
  }

  @Test func zerosAndFewWeightsAreNoEvidence() throws {
    let bytes = [UInt8](repeating: 0, count: 4 * 128 * 2)
    let zeros = CheckpointTensor(name: "zeros", shape: [4, 128], storage: PlainStorage(.f16, ByteView(bytes)))
    #expect(!zeros.lies(on: try scheme("int4-g128")))
    let values = [Float](repeating: 0, count: 128).indices.map { $0 == 7 ? Float(0.5) : 0 }
    let single = CheckpointTensor(
      name: "single", shape: [1, 128], storage: PlainStorage(.f16, ByteView(NumberConversion.bytes(of: values, as: .f16))))
    #expect(!single.lies(on: try scheme("int4-g128")))
  }

  @Test func weightsThatAreNotFiniteLieOnNoGrid() throws {
    for bad in [Float.nan, .infinity] {
      let values: [Float] = (0..<64).map { Float($0 % 15 - 7) * 0.5 } + [bad] + (1..<64).map { Float($0 % 15 - 7) * 0.5 }
      #expect(values.withUnsafeBufferPointer { LatticeSearch($0, storedIn: .f32) } == nil)
    }
  }

  /// A group with one magnitude gets the code that the rule gives the largest weight.
  @Test func aLoneMagnitudeGetsTheLargestCode() throws {
    let scheme = try scheme("int4-g32")
    for (weight, code) in [(Float(0.25), Float(7)), (-0.25, -8)] {
      var values = [Float](repeating: 0, count: 32)
      values[5] = weight
      let found = values.withUnsafeBufferPointer { scheme.exactParameters(of: $0, storedIn: .f32) }
      #expect(found == [weight / code])
    }
  }

  /// The rounder keeps the codes of groups on the grid, and leaves the others to the rule.
  @Test func groupsBesideTheGridAreLeftToTheRule() throws {
    let scheme = try scheme("int4-g32", .bf16)
    var matrix = try tensor("int4-g32.f16").matrix()
    for column in 64..<96 { matrix.values[column] *= 1 + Float(column) / 100 }
    var kept = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns), ruled = kept
    matrix.withPanel {
      LatticeRounder(scheme, .f16, nil).round($0, rows: Array(0..<$0.rows), into: &kept)
      scheme.encode($0, importance: nil, into: &ruled)
    }
    let values = scheme.values(kept)
    #expect(Array(kept.codes[64..<96]) == Array(ruled.codes[64..<96]) && kept.parameters[2] == ruled.parameters[2])
    // BF16 scales are a little off those in F16.
    for index in values.indices where !(64..<96).contains(index) {
      #expect(abs(values[index] - matrix.values[index]) <= abs(matrix.values[index]) * 0x1p-8)
    }
  }
}
