import QuantCore
import TestSupport
import Testing

/// The weights of Tests/Fixtures/compressed-tensors/make_microscaling.py.
private func sampleWeights() -> Matrix {
  var matrix = Matrix(rows: 6, columns: 128)
  for r in 0..<6 {
    for c in 0..<128 where r != 3 || c >= 32 {
      let exponent = -(5 + (r * 7 + c / 16 * 3) % 8)
      matrix[r, c] = Float((r * 131 + c * 7919) % 255 - 127) * Float(sign: .plus, exponent: exponent, significand: 1)
    }
  }
  matrix[1, 5] = -0x1p-14
  return matrix
}

private func scheme(_ name: String, _ type: ElementType = .bf16) throws -> any Scheme {
  try #require(MicroscalingSchemes.scheme(named: name, modelType: type))
}

@Test func microscalingBytesEqualThoseOfCompressedTensors() throws {
  let bytes = readFile(SharedData.fixture("compressed-tensors/microscaling.bin"))
  let matrix = sampleWeights()
  var position = 0
  let cases: [(String, ElementType)] = [
    ("nvfp4", .bf16), ("nvfp4", .f16), ("nvfp4", .f32), ("mxfp4", .bf16), ("mxfp4", .f32), ("mxfp8", .bf16), ("mxfp8", .f32),
  ]
  for (name, type) in cases {
    let plain = try scheme(name, type)
    let scheme = plain.fittedToTensor(largestMagnitude: matrix.values.map { abs($0) }.max() ?? 0)
    let parts = ScaledFloatLayout().pack(encoded(scheme, matrix), rows: 0..<6, grid: scheme.grid)
    let own = (parts.count == 3 ? parts[2] : []) + parts[1] + parts[0]
    #expect(own == Array(bytes[position..<min(bytes.count, position + own.count)]), "\(name) of a \(type) model")
    position += own.count
  }
  #expect(position == bytes.count)
}

@Test func everyBFloatGetsTheNearestFP4Code() throws {
  let magnitudes: [Float] = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
  #expect((0..<16).map { NumberConversion.float(e2m1: UInt8($0)) } == magnitudes + magnitudes.map { -$0 })
  // A group of 32 with a 6 has the scale 1.
  let scheme = try scheme("mxfp4", .f32)
  for bits in stride(from: 0, to: 65536, by: 1) {
    let value = NumberConversion.float(bfloat: UInt16(bits))
    guard value.isFinite, abs(value) <= 6 else { continue }
    var values = [Float](repeating: 0, count: 32)
    values[0] = 6
    values[1] = value
    let panel = encoded(scheme, Matrix(rows: 1, columns: 32, values: values))
    let nearest = magnitudes.map { abs($0 - abs(value)) }.min() ?? 0
    let candidates = magnitudes.indices.filter { abs(magnitudes[$0] - abs(value)) == nearest }
    let expected = Int32(candidates.first { $0 % 2 == 0 } ?? candidates[0])
    #expect(panel.codes[1] == (value < 0 ? expected + 8 : expected) && panel.parameters == [1], "\(value)")
  }
}

/// `value(encode)` of short rows: a rule of §5.3 of the specification, but with the next power of two from 1.75 on.
@Test func powersOfTwoAreThoseOfTheRule() throws {
  for (largest, exponent) in [(Float(1), 0), (1.5, 0), (1.7499, 0), (1.75, 1), (3.4, 1), (3.5, 2), (0x1p-100, -100), (1.9e38, 127)] {
    for (name, offset) in [("mxfp4", 2), ("mxfp8", 8)] {
      var values = [Float](repeating: 0, count: 32)
      values[7] = -largest
      let panel = try encoded(scheme(name, .f32), Matrix(rows: 1, columns: 32, values: values))
      #expect(panel.parameters == [Float(sign: .plus, exponent: exponent - offset, significand: 1)], "\(largest)")
    }
  }
  let zeros = try encoded(scheme("mxfp4"), Matrix(rows: 1, columns: 32))
  #expect(zeros.parameters == [0x1p-127] && zeros.codes.allSatisfy { $0 == 0 })
}

@Test func nvfp4ScalesCoverTheRangeOfTheirType() throws {
  let matrix = sampleWeights()
  let largest = matrix.values.map { abs($0) }.max() ?? 0
  for kind in [Grid.GlobalScale.divisor, .factor] {
    let scheme = NVFP4Scheme(kind, modelType: .f32).fitted(largestMagnitude: largest)
    let panel = encoded(scheme, matrix)
    let locals = stride(from: 0, to: panel.parameters.count, by: 2).map { panel.parameters[$0] }
    #expect(locals.max() == 448 && locals.allSatisfy { $0 > 0 })
    let global = panel.parameters[1]
    #expect(abs((kind == .divisor ? 1 / global : global) / (largest / 2688) - 1) < 1e-6)
    // Within half a step of the group's largest value, which is 1 of 6, plus the rounding error of the local scale.
    let values = scheme.values(panel)
    for index in values.indices {
      let group = matrix.values[index / 16 * 16..<index / 16 * 16 + 16].map { abs($0) }.max() ?? 0
      #expect(abs(values[index] - matrix.values[index]) <= group / 6 * 1.13 + largest * 1e-5)
    }
  }
}

@Test func rowsRoundedInPiecesEqualTheWholeMatrixOfShortGroups() throws {
  let matrix = sampleWeights()
  for name in ["mxfp4", "mxfp8", "nvfp4"] {
    let scheme = try scheme(name).fittedToTensor(largestMagnitude: 3)
    let whole = encoded(scheme, matrix)
    let pieces = [encoded(scheme, matrix, rows: 0..<1), encoded(scheme, matrix, rows: 1..<6)]
    #expect(pieces.flatMap { $0.codes } == whole.codes && pieces.flatMap { $0.parameters } == whole.parameters)
    #expect(scheme.fits(columns: 128) && !scheme.fits(columns: 24))
    var fitted = scheme.emptyPanel(rows: 6, columns: 128)
    matrix.withPanel { scheme.fit($0, importance: nil, into: &fitted) }
    #expect(fitted.parameters == whole.parameters && fitted.codes.allSatisfy { $0 == 0 })
    matrix.withPanel { scheme.nearest($0, columns: 10..<37, into: &fitted) }
    // These weights are already values of the model's type: both round the same quotients.
    for index in fitted.codes.indices { #expect(fitted.codes[index] == ((10..<37).contains(index % 128) ? whole.codes[index] : 0)) }
    var some = [Float](repeating: .nan, count: 6 * 128)
    scheme.value(whole, columns: 30..<50, into: &some)
    let all = scheme.values(whole)
    for index in some.indices { #expect((30..<50).contains(index % 128) ? some[index] == all[index] : some[index].isNaN) }
  }
}

@Test func fp8ScalesAreRepeatedForSmallerTiles() throws {
  let matrix = Matrix(rows: 20, columns: 24, values: (0..<480).map { Float(($0 * 7919) % 1009 - 504) / 4096 })
  func fp8(_ name: String, _ type: ElementType) throws -> any Scheme {
    try #require(Float8Schemes.scheme(named: name, modelType: type)).fittedToTensor(largestMagnitude: 0.125)
  }
  let exact = [("fp8-tensor", "fp8-channel"), ("fp8-tensor", "fp8-block8"), ("fp8-block16", "fp8-block8"), ("fp8-tensor", "fp8-tensor")]
  for (from, to) in exact {
    let source = try fp8(from, .bf16), target = try fp8(to, .f32)
    let repacking = try #require(target.repacking(of: source))
    let panel = encoded(source, matrix)
    let moved = repacking.translate(panel)
    #expect(repacking.fidelity == .exact && target.values(moved) == source.values(panel), "\(from) as \(to)")
    #expect(moved.parameters.count == target.emptyPanel(rows: 20, columns: 24).parameters.count)
  }
  for (from, to) in [
    ("fp8-channel", "fp8-tensor"), ("fp8-block8", "fp8-block16"), ("fp8-channel", "fp8-block8"), ("fp8e5m2-tensor", "fp8-channel"),
  ] {
    #expect(try fp8(to, .f32).repacking(of: fp8(from, .f32)) == nil)
  }
  #expect(try fp8("fp8-channel", .bf16).repacking(of: fp8("fp8-tensor", .f32)) == nil)
}

@Test func nvfp4ChangesTheMeaningOfItsGlobalScale() throws {
  let matrix = sampleWeights()
  let divisor = NVFP4Scheme(.divisor, modelType: .bf16), factor = NVFP4Scheme(.factor, modelType: .bf16)
  let panel = encoded(divisor.fitted(largestMagnitude: 4), matrix)
  let repacking = try #require(factor.repacking(of: divisor))
  let moved = repacking.translate(panel)
  #expect(repacking.fidelity == .parametersRounded && moved.codes == panel.codes && moved.parameters[1] == 1 / panel.parameters[1])
  for (a, b) in zip(divisor.values(panel), factor.values(moved)) { #expect(abs(a - b) <= abs(a) * 0x1p-22) }
  #expect(divisor.repacking(of: divisor)?.fidelity == .exact)
  let other = try scheme("mxfp4")
  #expect(divisor.repacking(of: other) == nil && other.repacking(of: divisor) == nil)
}
