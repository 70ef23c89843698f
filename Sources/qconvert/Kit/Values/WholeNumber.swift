import QuantCore

/// Limits of options that are whole numbers.
enum WholeNumber {
  /// `value`, if it is in the range.
  /// - Throws: `Failure` of kind usage that names the option.
  static func check(_ value: Int, _ option: String, in range: ClosedRange<Int>) throws(Failure) -> Int {
    guard range.contains(value) else {
      throw Failure(
        .usage, "usage.range", "\(option) is \(value)", remedy: "Give a whole number from \(range.lowerBound) to \(range.upperBound).")
    }
    return value
  }
}
