import GGUF
import HQQ
import HalfQuadratic
import QuantCore
import TestSupport
import Testing

/// HQQ's rule, container and solver against its library (Interop/make_hqq_fixtures.py).
@Suite struct HalfQuadraticTests {
  static let tensors = Dictionary(
    storedTensors(SharedData.fixture("hqq/layers.safetensors")).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })

  private func tensor(_ name: String) throws -> CheckpointTensor { try #require(HalfQuadraticTests.tensors[name], "\(name)") }

  private func scheme(_ bits: Int, _ type: ElementType) throws -> any Scheme {
    try #require(HQQSchemes.scheme(named: "hqq\(bits)-g64", modelType: type))
  }

  /// All parts of a layer, by their names in the library, as `rows` rows at a time give them.
  private func packed(_ panel: QuantizedPanel, _ scheme: any Scheme, rows step: Int) -> [String: (part: StoredPart, bytes: [UInt8])] {
    let shape = [panel.rows, panel.columns], packing = HQQ()
    let parts = packing.parts(name: "x.weight", shape: shape, scheme: scheme)
    var assembly = PartAssembly(parts)
    var bytes = parts.map { [UInt8](repeating: 0xaa, count: $0.byteCount) }
    var written = parts.map { _ in 0 }
    for first in stride(from: 0, to: panel.rows, by: step) {
      let rows = first..<min(first + step, panel.rows)
      var part = scheme.emptyPanel(rows: rows.count, columns: panel.columns)
      part.codes = Array(panel.codes[rows.lowerBound * panel.columns..<rows.upperBound * panel.columns])
      let perRow = panel.groupsPerRow * panel.parameterCount
      part.parameters = Array(panel.parameters[rows.lowerBound * perRow..<rows.upperBound * perRow])
      for (index, new) in packing.pack(part, rows: rows, of: shape, scheme: scheme).enumerated() where !new.isEmpty {
        for slab in assembly.add(new, to: index) {
          bytes[index].replaceSubrange(slab.offset..<slab.offset + slab.bytes.count, with: slab.bytes)
          written[index] += slab.bytes.count
        }
      }
    }
    #expect(written == parts.map(\.byteCount))
    return Dictionary(uniqueKeysWithValues: zip(parts, bytes).map { (String($0.name.dropFirst(2)), ($0, $1)) })
  }

  @Test(arguments: [8, 4, 2, 1], [ElementType.f32, .f16, .bf16]) func ruleAndBytesAreThoseOfTheLibrary(_ bits: Int, _ type: ElementType)
    throws
  {
    let weights = try tensor("weights").matrix(), scheme = try scheme(bits, type), name = "hqq\(bits).\(type.schemeName)."
    var panel = scheme.emptyPanel(rows: weights.rows, columns: weights.columns)
    weights.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    let names = type == .bf16 ? HalfQuadraticTests.tensors.keys.filter { $0.hasPrefix(name) } : ["W_q", "scale", "zero"].map { name + $0 }
    for step in [16, 5] {
      let parts = packed(panel, scheme, rows: step)
      #expect(type != .bf16 || parts.count == names.count)
      for owed in try names.map({ try tensor($0) }) {
        let found = try #require(parts[String(owed.name.dropFirst(name.count))], "\(owed.name)")
        #expect(found.part.shape == owed.shape && found.part.elementType == owed.storage.elementType, "\(owed.name)")
        // The library records that its solver did not run.
        if !owed.name.hasSuffix(".optimize") { #expect(owed.storage.verbatim?.bytes == found.bytes, "\(owed.name)") }
      }
    }
  }

  /// What is written is read back with the same codes and parameters.
  @Test(arguments: [8, 4, 2, 1]) func whatIsWrittenIsRead(_ bits: Int) throws {
    let weights = try tensor("weights").matrix(), scheme = try scheme(bits, .bf16)
    var panel = scheme.emptyPanel(rows: weights.rows, columns: weights.columns)
    weights.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    let stored = packed(panel, scheme, rows: 7).values.map { part, bytes in
      CheckpointTensor(name: part.name, shape: part.shape, storage: PlainStorage(part.elementType ?? .u8, ByteView(bytes)))
    }
    let read = try #require(try HQQ().unpack(configuration: .null, stored: stored)?.first)
    let codes = try #require(read.storage.codes)
    #expect(read.name == "x.weight" && read.storage.schemeName == scheme.name && codes.scheme.grid == scheme.grid)
    #expect(codes.panel(rows: 0..<16, rowLength: 128) == panel)
    #expect(read.matrix().values == scheme.values(panel))
  }

  private func rounded(_ weights: Matrix, _ scheme: any Scheme, _ options: [String: String] = [:]) throws -> QuantizedPanel {
    let method = try HalfQuadratic(try OptionValues(options, declarations: HalfQuadratic.options, plugin: HalfQuadratic.id))
    let rounder = try #require(try method.rounder(for: RoundingTask(id: nil, name: "x", scheme: scheme, statistics: nil)))
    var panel = scheme.emptyPanel(rows: weights.rows, columns: weights.columns)
    weights.withPanel { rounder.round($0, rows: Array(0..<weights.rows), into: &panel) }
    return panel
  }

  /// Mean absolute errors of groups of 64.
  private func errors(_ weights: Matrix, _ values: [Float]) -> [Float] {
    stride(from: 0, to: values.count, by: 64).map { start in
      (start..<start + 64).reduce(0) { $0 + abs(weights.values[$1] - values[$1]) } / 64
    }
  }

  @Test(arguments: [4, 2]) func zeroPointsAreThoseOfTheLibrarysRounds(_ bits: Int) throws {
    let weights = try tensor("weights").matrix(), scheme = try scheme(bits, .f32)
    let panel = try rounded(weights, scheme)
    let zeros = try tensor("solved\(bits).zero").matrix().values, owed = try tensor("solved\(bits).error").matrix().values
    let library = try tensor("library\(bits).error").matrix().values
    let found = errors(weights, scheme.values(panel))
    for group in zeros.indices { #expect(found[group] <= owed[group] * 1.0001 + 1e-9, "group \(group)") }
    // Two rounds of a group may have nearly the same error.
    let others = zeros.indices.filter { abs(panel.parameters[2 * $0 + 1] - zeros[$0]) > 1e-3 * max(1, abs(zeros[$0])) }
    #expect(others.count <= 2)
    // The library stops all groups at once.
    #expect(found.reduce(0, +) < library.reduce(0, +))
  }

  @Test func noGroupGetsWorseThanUnderTheRule() throws {
    let weights = try tensor("weights").matrix()
    let schemes: [any Scheme] = [
      try scheme(4, .bf16), try #require(AffineSchemes.scheme(named: "int4-g64-affine", modelType: .bf16)),
      try #require(IntegerSchemes.scheme(named: "int4-g64-asym", modelType: .bf16)),
      try #require(GGUFBlocks.scheme(named: "q4_1", modelType: .f16)),
    ]
    for scheme in schemes {
      let rule = errors(weights, weights.withPanel { scheme.roundTrip($0) })
      let found = errors(weights, scheme.values(try rounded(weights, scheme)))
      for group in rule.indices { #expect(found[group] <= rule[group] * 1.00001, "\(scheme.name), group \(group)") }
      #expect(found.reduce(0, +) < rule.reduce(0, +), "\(scheme.name)")
    }
  }

  @Test func withoutZeroPointsTheRuleRoundsAndSaysSo() throws {
    let weights = try tensor("weights").matrix()
    let scheme = try #require(IntegerSchemes.scheme(named: "int4-g64", modelType: .bf16))
    #expect(scheme.values(try rounded(weights, scheme)) == weights.withPanel { scheme.roundTrip($0) })
    let method = try HalfQuadratic(try OptionValues([:], declarations: HalfQuadratic.options, plugin: HalfQuadratic.id))
    let task = RoundingTask(id: nil, name: "x", scheme: scheme, statistics: nil)
    #expect(try method.rounder(for: task)?.record.fallback?.contains("no zero points") == true)
  }
}
