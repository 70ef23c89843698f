import MLX
import QuantCore
import TestSupport
import Testing

/// MLX's packing, compared with matrices that MLX quantized (Tests/Fixtures/mlx/make.py).
@Suite struct MLXTests {
  /// A matrix that MLX quantized.
  struct Case: Sendable {
    var name: String
    var mode: String
    var bits: Int
    var groupLength: Int
    var type: ElementType
    var parts: [CheckpointTensor]
    var input: CheckpointTensor
    var float: CheckpointTensor
  }

  static func cases() throws -> [Case] {
    let tensors = storedTensors(SharedData.fixture("mlx/cases.safetensors"))
    let names = tensors.map(\.name).filter { $0.hasSuffix(".input") && !$0.hasPrefix("model") }.map { String($0.dropLast(6)) }
    return try names.map { name in
      let words = name.split(separator: "-").map(String.init)
      let byName = Dictionary(uniqueKeysWithValues: tensors.filter { $0.name.hasPrefix(name + ".") }.map { ($0.name, $0) })
      return Case(
        name: name, mode: words[0], bits: try #require(Int(words[1])), groupLength: try #require(Int(words[2])),
        type: try #require(ElementType(schemeName: words[3])),
        parts: ["weight", "scales", "biases"].compactMap { byName["\(name).\($0)"] }, input: try #require(byName[name + ".input"]),
        float: try #require(byName[name + ".float"]))
    }
  }

  private func configuration(_ mode: String, _ bits: Int, _ groupLength: Int, _ more: [JSON.Member] = []) -> JSON {
    .object([.init("group_size", .int(groupLength)), .init("bits", .int(bits)), .init("mode", .string(mode))] + more)
  }

  private func unpacked(_ entry: Case) throws -> CheckpointTensor {
    let tensors = try #require(
      try MLX().unpack(
        configuration: configuration(entry.mode, entry.bits, entry.groupLength), stored: entry.parts, metadata: KeyValues()))
    #expect(tensors.map(\.name) == [entry.name + ".weight"])
    return try #require(tensors.first)
  }

  private func squaredError(_ values: [Float], _ originals: [Float]) -> Double {
    zip(values, originals).reduce(0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
  }

  @Test func valuesAreThoseOfMLX() throws {
    let cases = try MLXTests.cases()
    #expect(cases.count == 27)
    for entry in cases {
      let values = try unpacked(entry).matrix().values
      #expect(values.map(\.bitPattern) == entry.float.matrix().values.map(\.bitPattern), "\(entry.name)")
    }
  }

  @Test func codesAndParametersArePackedAsMLXPacksThem() throws {
    for entry in try MLXTests.cases() {
      let tensor = try unpacked(entry)
      let codes = try #require(tensor.storage.codes)
      #expect(MLX().holds(codes.scheme.grid), "\(entry.name)")
      let panel = codes.panel(rows: 0..<tensor.rowCount, rowLength: tensor.rowLength)
      let bytes = MLX().pack(panel, rows: 0..<tensor.rowCount, of: tensor.shape, scheme: codes.scheme)
      let parts = MLX().parts(name: tensor.name, shape: tensor.shape, scheme: codes.scheme)
      #expect(parts.map(\.name) == entry.parts.map(\.name) && parts.map(\.shape) == entry.parts.map(\.shape))
      #expect(parts.map(\.byteCount) == bytes.map(\.count))
      for (own, stored) in zip(bytes, entry.parts) { #expect(own == stored.storage.verbatim?.bytes, "\(stored.name)") }
    }
  }

  @Test func roundingHasNoLargerErrorThanThatOfMLX() throws {
    for entry in try MLXTests.cases() where entry.mode == "affine" {
      let scheme = try #require(AffineScheme(bits: entry.bits, groupLength: entry.groupLength, scaleType: entry.type))
      let input = entry.input.matrix(), theirs = squaredError(entry.float.matrix().values, input.values)
      let own = input.withPanel { squaredError(scheme.roundTrip($0), input.values) }
      #expect(own <= theirs, "\(entry.name): \(own), by MLX \(theirs)")
      let wide = try #require(scheme.widerSearch)
      #expect(input.withPanel { squaredError(wide.roundTrip($0), input.values) } <= own, "\(entry.name), wider search")
    }
  }

  @Test func groupsOfEqualWeightsKeepThem() throws {
    let scheme = try #require(AffineScheme(bits: 4, groupLength: 32, scaleType: .bf16))
    for value: Float in [0, -0.75, 3] {
      let matrix = Matrix(rows: 1, columns: 32, values: [Float](repeating: value, count: 32))
      #expect(matrix.withPanel { scheme.roundTrip($0) } == matrix.values)
    }
  }

  // MARK: Folders

  @Test func stacksOfExpertsBecomeMatrices() throws {
    let stored = storedTensors(SharedData.fixture("mlx/cases.safetensors")).filter { $0.name.hasPrefix("model.") }
    let float = try #require(stored.first { $0.name.hasSuffix(".float") })
    let parts = stored.filter { !$0.name.hasSuffix(".float") && !$0.name.hasSuffix(".input") }
    let tensors = try #require(try MLX().unpack(configuration: configuration("affine", 4, 64), stored: parts, metadata: KeyValues()))
    #expect(tensors.map(\.name) == (0..<2).map { "model.layers.0.mlp.experts.\($0).up_proj.weight" })
    #expect(tensors.flatMap { $0.matrix().values } == float.matrix().values)
  }

  @Test func expertsAreLookedForInStacks() throws {
    let configuration = JSON.object([.init("model_type", .string("mixtral"))])
    let stack = try MLX().stack(of: "model.layers.3.block_sparse_moe.experts.12.w2.scales", configuration: configuration)
    #expect(stack?.name == "model.layers.3.block_sparse_moe.switch_mlp.down_proj.scales" && stack?.index == 12)
    #expect(try MLX().stack(of: "model.layers.3.mlp.shared_experts.up_proj.weight", configuration: configuration) == nil)
    #expect(throws: Failure.self) {
      try MLX().stack(of: "model.norm.weight", configuration: .object([.init("model_type", .string("falcon_h1"))]))
    }
  }

  @Test func layersThatDifferGetEntries() throws {
    func module(_ name: String, _ bits: Int) throws -> QuantizedModule {
      QuantizedModule(name: name, scheme: try #require(AffineScheme(bits: bits, groupLength: 64, scaleType: .bf16)))
    }
    let json = try MLX().configuration(
      modules: [
        module("lm_head", 8), module("a.mlp.experts.0.up_proj", 6), module("a.mlp.experts.1.up_proj", 6), module("b", 4),
        module("c", 4), module("d", 4),
      ], unquantized: [])
    let settings = [8, 6].map { configuration("affine", $0, 64) }
    #expect(
      json == configuration("affine", 4, 64, [.init("lm_head", settings[0]), .init("a.mlp.switch_mlp.up_proj", settings[1])]))
  }

  @Test func partsThatDoNotFitAreRefused() throws {
    let entry = try #require(try MLXTests.cases().first { $0.name == "affine-4-64-bf16" })
    func failure(_ configuration: JSON, _ parts: [CheckpointTensor]) -> String? {
      do { _ = try MLX().unpack(configuration: configuration, stored: parts, metadata: KeyValues()) } catch {
        return (error as? Failure)?.id
      }
      return nil
    }
    let usual = configuration("affine", 4, 64)
    #expect(failure(usual, entry.parts) == nil)
    #expect(failure(configuration("affine", 7, 64), entry.parts) == "mlx.mode")
    #expect(failure(configuration("ternary", 4, 64), entry.parts) == "mlx.mode")
    #expect(failure(usual, Array(entry.parts.prefix(2))) == "mlx.parts")
    #expect(failure(usual, [entry.parts[0]]) == "quantized.part-missing")
    #expect(failure(configuration("affine", 4, 64, [.init(entry.name, .bool(false))]), entry.parts) == "mlx.layer")
    // 512 bits for each scale are 4 bits in groups of 128 or 8 bits in groups of 64.
    let wide = try #require(try MLXTests.cases().first { $0.name == "affine-8-64-bf16" })
    #expect(failure(configuration("affine", 3, 32), wide.parts) == "mlx.layer")
    #expect(failure(configuration("affine", 3, 32, [.init(wide.name, configuration("affine", 8, 64))]), wide.parts) == nil)
  }

  // MARK: Repacking

  @Test func codesOfIntegerGroupsStay() throws {
    for isSymmetric in [true, false] {
      let source = try #require(IntegerScheme(bits: 4, groupLength: 64, isSymmetric: isSymmetric, modelType: .bf16))
      let matrix = try #require(try MLXTests.cases().first { $0.name == "affine-4-64-bf16" }).input.matrix()
      var panel = source.emptyPanel(rows: matrix.rows, columns: matrix.columns)
      matrix.withPanel { source.encode($0, importance: nil, into: &panel) }
      for (length, type) in [(64, ElementType.f32), (32, .bf16)] {
        let target = try #require(AffineScheme(bits: 4, groupLength: length, scaleType: type))
        let repacking = try #require(target.move(from: source))
        let moved = repacking.translate(panel)
        #expect(moved.codes == panel.codes.map { $0 + (isSymmetric ? 8 : 0) })
        #expect((repacking.fidelity == .exact) == (type == .f32))
        if type == .f32 { #expect(target.values(moved) == source.values(panel)) }
      }
    }
  }

  @Test func wholeZeroPointsBecomeAsymmetricGroups() throws {
    // MLX's own rule makes 0 a multiple of the scale; one group counts down from its largest weight.
    let made = AffineScheme(bits: 4, groupLength: 32, scaleType: .bf16, hasWholeZeroPoints: { true })
    let affine = try #require(made)
    let asymmetric = try #require(IntegerScheme(bits: 4, groupLength: 32, isSymmetric: false, modelType: .bf16))
    var panel = affine.emptyPanel(rows: 1, columns: 64)
    panel.codes = (0..<64).map { Int32($0 % 16) }
    panel.parameters = [0.5, -3, -0.25, 1]
    #expect(affine.zeroPoint(scale: 0.5, minimum: -3) == 6 && affine.zeroPoint(scale: -0.25, minimum: 1) == 4)
    #expect(affine.zeroPoint(scale: 0.5, minimum: -3.25) == nil && affine.zeroPoint(scale: 0.5, minimum: -8) == nil)
    let moved = try #require(asymmetric.move(from: affine)).translate(panel)
    #expect(asymmetric.values(moved) == affine.values(panel))
    let plain = try #require(AffineScheme(bits: 4, groupLength: 32, scaleType: .bf16))
    #expect(asymmetric.move(from: plain) == nil)
  }
}
