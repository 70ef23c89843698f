import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Cases that compressed-tensors computed (Tests/Fixtures/compressed-tensors/make.py).
private struct OracleCase {
  var scheme: IntegerScheme
  var weights: Matrix
  var scales: [Float]
  var zeros: [Int32]
  var codes: [Int32]

  static func load() -> [OracleCase] {
    // For a thorough check, a larger file made from a whole model can be given.
    let path = getenv("QC_INTEGER_CASES").map { String(cString: $0) } ?? SharedData.fixture("compressed-tensors/cases.bin")
    let bytes = readFile(path)
    var position = 0
    func word() -> UInt32 {
      defer { position += 4 }
      return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: UInt32.self) }
    }
    var cases: [OracleCase] = []
    while position < bytes.count {
      let type: ElementType = [.bf16, .f16, .f32][Int(word())]
      let bits = Int(word()), group = Int(word()), isSymmetric = word() == 1, rows = Int(word()), columns = Int(word())
      let tiles = rows * (group == 0 ? 1 : columns / group)
      let weights = (0..<rows * columns).map { _ in Float(bitPattern: word()) }
      let scales = (0..<tiles).map { _ in Float(bitPattern: word()) }
      let zeros = (0..<tiles).map { _ in Int32(bitPattern: word()) }
      let codes = (0..<rows * columns).map { _ in Int32(bitPattern: word()) }
      for _ in 0..<2 { position += 4 * Int(word()) }
      guard let scheme = IntegerScheme(bits: bits, groupLength: group == 0 ? nil : group, isSymmetric: isSymmetric, modelType: type)
      else { continue }
      cases.append(
        OracleCase(
          scheme: scheme, weights: Matrix(rows: rows, columns: columns, values: weights), scales: scales, zeros: zeros, codes: codes))
    }
    return cases
  }
}

@Test func integerCodesAndScalesEqualThoseOfCompressedTensors() {
  let cases = OracleCase.load()
  #expect(cases.count >= 72)
  for oracle in cases {
    var result = oracle.scheme.emptyPanel(rows: oracle.weights.rows, columns: oracle.weights.columns)
    oracle.weights.withPanel { oracle.scheme.encode($0, importance: nil, into: &result) }
    let count = oracle.scheme.parameterCount
    let scales = stride(from: 0, to: result.parameters.count, by: count).map { result.parameters[$0] }
    #expect(scales == oracle.scales, "scales of \(oracle.scheme.name) in \(oracle.scheme.modelType)")
    if !oracle.scheme.isSymmetric {
      let zeros = stride(from: 1, to: result.parameters.count, by: count).map { Int32(result.parameters[$0]) }
      #expect(zeros == oracle.zeros, "zero points of \(oracle.scheme.name) in \(oracle.scheme.modelType)")
    }
    let different = zip(result.codes, oracle.codes).count { $0 != $1 }
    #expect(different == 0, "codes of \(oracle.scheme.name) in \(oracle.scheme.modelType)")
  }
}

@Test func fitGivesTheParametersOfEncode() {
  for oracle in OracleCase.load().prefix(72) {
    var encoded = oracle.scheme.emptyPanel(rows: oracle.weights.rows, columns: oracle.weights.columns)
    var fitted = encoded
    oracle.weights.withPanel { panel in
      oracle.scheme.encode(panel, importance: nil, into: &encoded)
      oracle.scheme.fit(panel, importance: nil, into: &fitted)
    }
    #expect(fitted.parameters == encoded.parameters)
    #expect(fitted.codes.allSatisfy { $0 == 0 })
  }
}

@Test func nearestCodeIsTheBestOfAllCodesAndTouchesOnlyItsColumns() {
  for oracle in OracleCase.load().suffix(36) {
    let (rows, columns) = (oracle.weights.rows, oracle.weights.columns)
    let scheme = oracle.scheme
    var result = scheme.emptyPanel(rows: rows, columns: columns)
    result.codes = [Int32](repeating: 77, count: rows * columns)
    var values = [Float](repeating: 0, count: rows * columns)
    oracle.weights.withPanel { panel in
      scheme.fit(panel, importance: nil, into: &result)
      scheme.nearest(panel, columns: 40..<200, into: &result)
    }
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { scheme.value(result, columns: 0..<columns, into: base) }
    }
    let codes = scheme.isSymmetric ? -(1 << (scheme.bits - 1))..<(1 << (scheme.bits - 1)) : 0..<(1 << scheme.bits)
    for row in 0..<rows {
      for column in 0..<columns {
        let index = row * columns + column
        guard (40..<200).contains(column) else {
          #expect(result.codes[index] == 77)
          continue
        }
        let position = result.parameterIndex(row: row, group: column / result.groupLength)
        let zero = scheme.isSymmetric ? 0 : result.parameters[position + 1]
        let weight = oracle.weights.values[index]
        let best = codes.map { abs((Float($0) - zero) * result.parameters[position] - weight) }.min() ?? 0
        #expect(abs(values[index] - weight) <= best * 1.0001 + 1e-7)
      }
    }
  }
}

@Test func weightsThatAreNotFiniteDoNotTrap() throws {
  let values: [Float] = [.nan, .infinity, -.infinity, 3e38, -3e38, 0x1p-149, 0, 1]
  for type in [ElementType.bf16, .f16, .f32] {
    for name in ["int4-g8", "int8-channel-asym", "int4-g8-asym", "f16", "bf16"] {
      let scheme = try #require(
        IntegerSchemes.scheme(named: name, modelType: type) ?? FloatSchemes.scheme(named: name, modelType: type))
      let matrix = Matrix(rows: 1, columns: 8, values: values)
      #expect(matrix.withPanel { scheme.roundTrip($0) }.count == 8)
    }
  }
}

@Test func schemeNamesHaveOneSpelling() {
  for name in ["int4-g128", "int8-g32-asym", "int8-channel", "int4-channel-asym"] {
    #expect(IntegerSchemes.scheme(named: name, modelType: .bf16)?.name == name)
  }
  for name in [
    "int4", "int4-g", "int4-g0", "int4-g-8", "int4-g+8", "int4-g0128", "int1-g32", "int9-g32", "int4-g128-asym-x", "int4-g32-sym",
  ] {
    #expect(IntegerSchemes.scheme(named: name, modelType: .bf16) == nil, "\(name)")
  }
}

@Test func presetsQuantizeOnlyTheLinearLayersOfBlocks() throws {
  let preset = try #require(WeightPresets.preset(named: "w4a16"))
  let choices = preset.choose(
    [
      PresetTensor(name: "model.embed_tokens.weight", shape: [512, 256], isQuantizable: true, id: nil),
      PresetTensor(name: "model.layers.0.self_attn.q_proj.weight", shape: [256, 256], isQuantizable: true, id: nil),
      PresetTensor(name: "model.layers.0.mlp.down_proj.weight", shape: [256, 192], isQuantizable: true, id: nil),
      PresetTensor(name: "lm_head.weight", shape: [512, 256], isQuantizable: true, id: nil),
    ], model: nil)
  #expect(choices.map(\.scheme) == [nil, "int4-g128", nil, nil])
  #expect(choices[2].note == "rows of 192 are not a multiple of 128")
}
