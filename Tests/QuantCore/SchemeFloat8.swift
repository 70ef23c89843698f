import QuantCore
import TestSupport
import Testing

/// The weights of Tests/Fixtures/compressed-tensors/make_float8.py: 16 binades, a row of zeros, a block of zeros.
private func sampleWeights(rows: Int) -> Matrix {
  let columns = 132
  var matrix = Matrix(rows: rows, columns: columns)
  for r in 0..<rows where r != 3 {
    for c in 0..<columns where r < 128 || c < 128 {
      matrix[r, c] = Float((r * 131 + c * 7919) % 1021 - 510) * Float(sign: .plus, exponent: -(10 + (r * 7 + c * 3) % 16), significand: 1)
    }
  }
  return matrix
}

private struct OracleCase {
  var scheme: Float8Scheme
  var weights: Matrix
  var scales: [Float]
  var codes: [Int32]

  static func load() -> [OracleCase] {
    let bytes = readFile(SharedData.fixture("compressed-tensors/float8.bin"))
    var position = 0
    var cases: [OracleCase] = []
    for type in [ElementType.bf16, .f16, .f32] {
      for (level, rows, tiles) in [(Float8Scheme.Level.channel, 8, 8), (.tensor, 8, 1), (.block(128), 130, 4)] {
        let matrix = sampleWeights(rows: rows)
        guard position + 4 * tiles + matrix.values.count <= bytes.count,
          let scheme = Float8Scheme(.e4m3, level: level, modelType: type)
        else { return [] }
        let scales = (0..<tiles).map { index in
          bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position + 4 * index, as: Float.self) }
        }
        position += 4 * tiles
        let codes = bytes[position..<position + matrix.values.count].map { Int32($0) }
        position += codes.count
        cases.append(OracleCase(scheme: scheme, weights: matrix, scales: scales, codes: codes))
      }
    }
    return position == bytes.count ? cases : []
  }
}

/// The rule of the format, the slow way: the nearest of all finite codes, or of two equally near ones the even one.
private func nearestCode(_ value: Float, _ magnitudes: [Float]) -> UInt8 {
  let wanted = abs(value)
  var low = 0, high = magnitudes.count - 1
  while low < high {
    let middle = (low + high + 1) / 2
    if magnitudes[middle] <= wanted { low = middle } else { high = middle - 1 }
  }
  var best = low
  if low + 1 < magnitudes.count {
    let below = Double(wanted) - Double(magnitudes[low]), above = Double(magnitudes[low + 1]) - Double(wanted)
    if above < below || above == below && low % 2 == 1 { best = low + 1 }
  }
  return UInt8(best) | (value.sign == .minus ? 0x80 : 0)
}

/// With a scale of 1 the code of a weight is the code of its value.
private func codes(_ values: [Float], _ element: ShortFloat, largest: Float) throws -> [Int32] {
  let scheme = try #require(Float8Scheme(element, level: .tensor, modelType: .f32)).fitted(largestMagnitude: largest)
  return encoded(scheme, Matrix(rows: 1, columns: values.count, values: values)).codes
}

@Test func everyBFloatGetsTheNearestFP8Code() throws {
  let e4m3 = (0..<0x7f).map { NumberConversion.float(e4m3: UInt8($0)) }
  let e5m2 = (0..<0x7c).map { NumberConversion.float(e5m2: UInt8($0)) }
  let values = (0..<65536).map { NumberConversion.float(bfloat: UInt16($0)) }
  for (element, magnitudes) in [(ShortFloat.e4m3, e4m3), (.e5m2, e5m2)] {
    let largest = try #require(magnitudes.last)
    let measured = try codes(values, element, largest: largest)
    for (value, code) in zip(values, measured) {
      let expected: UInt8 = value.isNaN || value == 0 ? 0 : nearestCode(value, magnitudes)
      #expect(code == Int32(expected), "\(value) as \(element)")
    }
  }
}

@Test func pointsHalfwayBetweenFP8CodesGoToTheEvenOne() throws {
  for (element, count) in [(ShortFloat.e4m3, 0x7e), (.e5m2, 0x7b)] {
    let magnitudes = (0...count).map {
      element == .e4m3 ? NumberConversion.float(e4m3: UInt8($0)) : NumberConversion.float(e5m2: UInt8($0))
    }
    for code in 0..<count {
      let middle = (magnitudes[code] + magnitudes[code + 1]) / 2
      let even = Int32(code + code % 2)
      let measured = try codes([middle, middle.nextDown, middle.nextUp], element, largest: magnitudes[count])
      #expect(measured == [even, Int32(code), Int32(code + 1)], "between codes \(code) and \(code + 1) of \(element)")
    }
  }
}

@Test func fp8CodesAndScalesEqualThoseOfCompressedTensors() {
  let cases = OracleCase.load()
  #expect(cases.count == 9)
  for oracle in cases {
    let result = encoded(oracle.scheme, oracle.weights)
    #expect(result.parameters == oracle.scales, "scales of \(oracle.scheme.name) in \(oracle.scheme.modelType)")
    let different = zip(result.codes, oracle.codes).count { $0 != $1 }
    #expect(different == 0, "\(different) codes of \(oracle.scheme.name) in \(oracle.scheme.modelType)")
  }
}

@Test func fp8RowsRoundedInPiecesEqualTheWholeMatrix() throws {
  let matrix = sampleWeights(rows: 130)
  let largest = matrix.values.map { abs($0) }.max() ?? 0
  for (name, piece) in [("fp8-block128", 128), ("fp8-block16", 48), ("fp8-tensor", 7), ("fp8-channel", 9), ("fp8e5m2-tensor", 64)] {
    let scheme = try #require(Float8Schemes.scheme(named: name, modelType: .bf16)).fittedToTensor(largestMagnitude: largest)
    let whole = encoded(scheme, matrix)
    var codes: [Int32] = [], parameters: [Float] = []
    for start in stride(from: 0, to: matrix.rows, by: piece) {
      let panel = encoded(scheme, matrix, rows: start..<min(start + piece, matrix.rows))
      codes += panel.codes
      if scheme.grid.tileRows != nil || start == 0 { parameters += panel.parameters }
    }
    #expect(codes == whole.codes && parameters == whole.parameters, "\(name)")
  }
}

@Test func fp8FitAndNearestTouchOnlyWhatTheySay() throws {
  let matrix = sampleWeights(rows: 20)
  for name in ["fp8-channel", "fp8-block16", "fp8-tensor", "fp8e5m2-block16"] {
    let scheme = try #require(Float8Schemes.scheme(named: name, modelType: .f32))
    let expected = encoded(scheme, matrix)
    var result = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
    matrix.withPanel { scheme.fit($0, importance: nil, into: &result) }
    #expect(result.parameters == expected.parameters && result.codes.allSatisfy { $0 == 0 }, "\(name)")
    matrix.withPanel { scheme.nearest($0, columns: 10..<30, into: &result) }
    // In 32 bits both round the same quotient.
    for index in result.codes.indices {
      #expect(result.codes[index] == ((10..<30).contains(index % matrix.columns) ? expected.codes[index] : 0))
    }
  }
}

@Test func fp8NeverGivesTheCodeOfNaNOrInfinity() throws {
  let values: [Float] = [.nan, .infinity, -.infinity, 3e38, -3e38, 0x1p-149, -0.0, 1]
  for type in [ElementType.bf16, .f16, .f32] {
    for name in ["fp8-channel", "fp8-tensor", "fp8-block3", "fp8e5m2-channel"] {
      let scheme = try #require(Float8Schemes.scheme(named: name, modelType: type))
      let largest = name.hasPrefix("fp8-") ? 0x7e : 0x7b
      let panel = encoded(scheme, Matrix(rows: 2, columns: 4, values: values))
      #expect(panel.codes.allSatisfy { $0 & 0x7f <= largest }, "\(name) in \(type): \(panel.codes)")
      #expect(panel.codes[6] == 0)
    }
  }
}

@Test func fp8SchemeNamesHaveOneSpelling() {
  for name in ["fp8-channel", "fp8-tensor", "fp8-block128", "fp8e5m2-channel", "fp8e5m2-block64"] {
    #expect(Float8Schemes.scheme(named: name, modelType: .bf16)?.name == name)
  }
  for name in ["fp8", "fp8-", "fp8-block", "fp8-block0", "fp8-block0128", "fp8-block+8", "fp8-g128", "fp8-row", "fp8e4m3-channel"] {
    #expect(Float8Schemes.scheme(named: name, modelType: .bf16) == nil, "\(name)")
  }
}

@Test func fp8PresetsRoundInputsToo() throws {
  let tensors = [
    PresetTensor(name: "model.layers.0.mlp.up_proj.weight", shape: [200, 256], isQuantizable: true, id: nil),
    PresetTensor(name: "model.layers.0.mlp.down_proj.weight", shape: [256, 200], isQuantizable: true, id: nil),
    PresetTensor(name: "lm_head.weight", shape: [512, 256], isQuantizable: true, id: nil),
  ]
  let channel = try #require(WeightPresets.preset(named: "fp8")).choose(tensors, model: nil)
  #expect(channel.map(\.scheme) == ["fp8-channel", "fp8-channel", nil])
  #expect(channel.map(\.activations) == [.fp8Token, .fp8Token, nil])
  // Inputs are rounded in groups of 128, which do not divide 200 channels.
  let block = try #require(WeightPresets.preset(named: "fp8-block")).choose(tensors, model: nil)
  #expect(block.map(\.scheme) == ["fp8-block128", nil, nil])
  #expect(block[0].activations == .fp8Group128)
  #expect(block[1].note == "rows of 200 are not a multiple of 128")
}

@Test func onlyAScaleOfTheTensorIsSharedBeyondTiles() throws {
  func shared(_ level: Float8Scheme.Level) throws -> (any SharedScaleScheme)? {
    let scheme: any Scheme = try #require(Float8Scheme(.e4m3, level: level, modelType: .f32))
    return scheme.sharedScale
  }
  #expect(try shared(.channel) == nil && shared(.block(16)) == nil)
  let scheme = try #require(try shared(.tensor))
  #expect(scheme.sharing == .tensor && scheme.nesting == nil)
  var panel = scheme.emptyPanel(rows: 1, columns: 1)
  Matrix(rows: 1, columns: 1, values: [1]).withPanel { scheme.fitted(largestMagnitude: 448).fit($0, importance: nil, into: &panel) }
  #expect(panel.parameters == [1])
  #expect(NVFP4Scheme(.factor, modelType: .f32).sharedScale?.sharing == .jointLayers && FloatScheme.bf16.sharedScale == nil)
}
