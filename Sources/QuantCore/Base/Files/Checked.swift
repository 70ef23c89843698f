/// Arithmetic on numbers that come from a file: nil if a result does not fit, never a trap.
public enum Checked {
  /// The product of non-negative factors. Overflow counts even if a later factor is zero.
  public static func product(of factors: some Sequence<Int>) -> Int? {
    var result = 1
    for factor in factors {
      guard factor >= 0 else { return nil }
      let (next, overflow) = result.multipliedReportingOverflow(by: factor)
      if overflow { return nil }
      result = next
    }
    return result
  }

  /// `a * b`.
  public static func product(_ a: Int, _ b: Int) -> Int? {
    let (result, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? nil : result
  }

  /// `a + b`.
  public static func sum(_ a: Int, _ b: Int) -> Int? {
    let (result, overflow) = a.addingReportingOverflow(b)
    return overflow ? nil : result
  }

  /// The smallest multiple of `alignment` that is not below `value`.
  /// - Parameter alignment: a power of two.
  public static func aligned(_ value: Int, to alignment: Int) -> Int? {
    sum(value, alignment - 1).map { $0 & ~(alignment - 1) }
  }
}
