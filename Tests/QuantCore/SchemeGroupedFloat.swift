import QuantCore
import TestSupport
import Testing

/// The weights of Tests/Fixtures/grouped-floats/make.py.
private func sampleWeights() -> Matrix {
  var matrix = Matrix(rows: 6, columns: 96)
  for r in 0..<6 {
    for c in 0..<96 where r != 3 || c >= 24 {
      let exponent = -(5 + (r * 7 + c / 24 * 3) % 8)
      let size = 127 - 8 * ((r * 4 + c / 24) % 8)
      matrix[r, c] = Float((r * 131 + c * 7919) % (2 * size + 1) - size) * Float(sign: .plus, exponent: exponent, significand: 1)
    }
  }
  matrix[4, 30] = 3
  return matrix
}

private let largest = sampleWeights().values.map { abs($0) }.max() ?? 0

private func scheme(_ name: String, _ type: ElementType = .bf16) throws -> any Scheme {
  try #require(GroupedFloatSchemes.scheme(named: name, modelType: type)).fittedToTensor(largestMagnitude: largest)
}

/// Scales by the equations of ZeroQuant-FP in 64 bits, codes by ml_dtypes and from a table; free scales by compressed-tensors.
@Test func scalesAndCodesOfGroupsAreThoseOfTheReference() throws {
  let bytes = readFile(SharedData.fixture("grouped-floats/grouped.bin"))
  let matrix = sampleWeights()
  let importance = (0..<96).map { Float(1 + $0 * 37 % 11) }
  var position = 0
  func check(_ panel: QuantizedPanel, _ comment: String) {
    guard position + 24 * 4 + 576 <= bytes.count else {
      Issue.record("the reference is too short")
      return
    }
    let scales = (0..<24).map { index in
      bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position + 4 * index, as: Float.self) }
    }
    let codes = bytes[position + 96..<position + 96 + 576].map { Int32($0) }
    #expect(panel.parameters == scales, "scales of \(comment)")
    #expect(panel.codes == codes, "codes of \(comment)")
    position += 96 + 576
  }
  for element in ["fp8", "e2m1", "e3m0"] {
    for rule in ["e8m0", "ratio"] {
      let scheme = try scheme("\(element)-g24-\(rule)", .f32)
      check(encoded(scheme, matrix), scheme.name)
      check(encoded(scheme, matrix, importance: importance), scheme.name + " with importance")
    }
  }
  for type in [ElementType.bf16, .f16, .f32] { check(encoded(try scheme("fp8-g24", type), matrix), "fp8-g24 of a \(type) model") }
  #expect(position == bytes.count)
}

/// Of a cut off weight and a coarser group, the smaller error counts: both directions of rounding occur, and neither alone is better.
@Test func constrainedScalesAreRoundedBothWays() throws {
  let matrix = sampleWeights()
  for name in ["e2m1-g24-e8m0", "e2m1-g24-ratio", "e3m0-g24-ratio"] {
    let scheme = try scheme(name, .f32)
    let top: Float = name.hasPrefix("e2m1") ? 6 : 16
    let panel = encoded(scheme, matrix)
    var directions: Set<Bool> = []
    for row in 0..<6 where row != 3 {
      for group in 0..<4 {
        let magnitude = (0..<24).map { abs(matrix[row, group * 24 + $0]) }.max() ?? 0
        let scale = panel.scale(row: row, group: group)
        directions.insert(scale * top >= magnitude)
        #expect(scale * top < 2 * magnitude && scale * top * 2 > magnitude, "\(name)")
        let unit = name.hasSuffix("ratio") ? largest / top : 1
        #expect((scale / unit).significand == 1, "\(name)")
      }
    }
    #expect(name.hasPrefix("e3m0") || directions == [true, false], "\(name)")
  }
}

@Test func groupsRoundedInPiecesEqualTheWholeMatrix() throws {
  let matrix = sampleWeights()
  for name in ["fp8-g24", "fp8-g24-ratio", "e2m1-g24", "e2m1-g24-e8m0", "e3m0-g24-ratio", "fp8e5m2-g24"] {
    let scheme = try scheme(name)
    let whole = encoded(scheme, matrix)
    let pieces = [encoded(scheme, matrix, rows: 0..<1), encoded(scheme, matrix, rows: 1..<6)]
    #expect(pieces.flatMap { $0.codes } == whole.codes && pieces.flatMap { $0.parameters } == whole.parameters, "\(name)")
    var fitted = scheme.emptyPanel(rows: 6, columns: 96)
    matrix.withPanel { scheme.fit($0, importance: nil, into: &fitted) }
    #expect(fitted.parameters == whole.parameters && fitted.codes.allSatisfy { $0 == 0 }, "\(name)")
    #expect(scheme.fits(columns: 48) && !scheme.fits(columns: 32))
  }
}

@Test func scalesStayAmongThoseOfTheirType() throws {
  // Far below the smallest normal numbers of half precision, and of 32-bit floats.
  for (name, type, magnitude, least) in [
    ("e2m1-g2-ratio", ElementType.f16, Float(0x1p-20), Float(0x1p-14)), ("e2m1-g2-e8m0", .bf16, 0x1p-130, 0x1p-126),
    ("e2m1-g2-e8m0", .bf16, 0, 0x1p-126), ("e2m1-g2", .bf16, 0, 0x1p-7),
  ] {
    let scheme = try #require(GroupedFloatSchemes.scheme(named: name, modelType: type))
    let fitted = scheme.fittedToTensor(largestMagnitude: 6)
    let panel = encoded(fitted, Matrix(rows: 1, columns: 2, values: [magnitude, -magnitude]))
    #expect(panel.parameters == [least], "\(name)")
  }
}

/// The scale of a tensor whose weights exceed half precision is infinite there.
@Test func aScaleThatOverflowsIsNoTrap() throws {
  let scheme = try #require(GroupedFloatSchemes.scheme(named: "e2m1-g2-ratio", modelType: .f16)).fittedToTensor(largestMagnitude: 1e9)
  for values in [[Float(1e9), -1], [0, 0], [1e-30, 1]] {
    #expect(encoded(scheme, Matrix(rows: 1, columns: 2, values: values)).parameters == [.infinity])
  }
}

@Test func groupsOfFloatsHaveOneNameEach() throws {
  for name in GroupedFloatSchemes.schemeNames.map({ $0.replacing("gN", with: "g128") }) {
    #expect(GroupedFloatSchemes.scheme(named: name, modelType: .bf16)?.name == name)
  }
  for name in ["fp8-g1", "fp8-g032", "fp8-g", "fp4-g128", "e2m1-g32-asym", "e2m1-channel", "e2m1-g32-e8m0-ratio", "fp8-g99999999999"] {
    #expect(GroupedFloatSchemes.scheme(named: name, modelType: .bf16) == nil, "\(name)")
  }
  // Powers of two in groups of 32 are the grids of the Microscaling formats.
  for (own, other) in [("e2m1-g32-e8m0", "mxfp4"), ("fp8-g32-e8m0", "mxfp8")] {
    let grid = try scheme(own).grid
    #expect(grid == MicroscalingSchemes.scheme(named: other, modelType: .bf16)?.grid)
  }
  #expect(try scheme("e2m1-g128").bitsPerWeight(columns: 256) == 4.125)
  #expect(try scheme("e2m1-g128-e8m0").bitsPerWeight(columns: 256) == 4.0625)
}

/// A lattice keeps its codes, but not in a scheme whose scales are tied to each other.
@Test func latticesOfGroupsKeepTheirScales() throws {
  let values: [Float] = [0.5, -1, 1.5, 2, 3, -4, 6, 0].map { $0 * 0.25 }
  for (name, expected) in [("e2m1-g8", [Float(0.25)]), ("e2m1-g8-e8m0", [0.25]), ("e2m1-g8-ratio", nil)] {
    let found = try values.withUnsafeBufferPointer { try scheme(name).exactParameters(of: $0, storedIn: .bf16) }
    #expect(found == expected, "\(name)")
  }
  let odd = values.map { $0 * 0.75 }
  #expect(try odd.withUnsafeBufferPointer { try scheme("e2m1-g8-e8m0").exactParameters(of: $0, storedIn: .bf16) } == nil)
}
