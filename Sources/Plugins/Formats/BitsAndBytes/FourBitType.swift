/// The sixteen levels of a 4-bit code, as fractions of the largest magnitude of its block.
enum FourBitType: String, CaseIterable, Sendable {
  /// Quantiles of a normal distribution, including 0 (QLoRA, appendix E).
  case nf4
  /// A sign, two exponent bits and a mantissa bit, with one small level below the others.
  case fp4

  /// The level that each code means.
  var values: [Float] {
    switch self {
    case .nf4: FourBitType.normalValues
    case .fp4: FourBitType.floatValues
    }
  }

  /// Codes in the order of their levels.
  var ascending: [Int32] {
    switch self {
    case .nf4: Array(0..<16)
    // Both zeros are used: code 0 for values just below 0 (and 0 itself), code 8 for those just above.
    case .fp4: [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3]
    }
  }

  /// Where one code ends and the next begins: halfway between their levels.
  var bounds: [Float] {
    let order = ascending, values = values
    return (0..<15).map { (values[Int(order[$0])] + values[Int(order[$0 + 1])]) / 2 }
  }

  private static let normalValues: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]

  /// In twelfths; the smallest is a sixteenth of one.
  private static let floatValues: [Float] = {
    let positive: [Float] = [0, 0.0625, 8, 12, 4, 6, 2, 3]
    return positive.map { $0 / 12 } + positive.map { $0 == 0 ? 0 : -$0 / 12 }
  }()
}
