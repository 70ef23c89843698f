/// Powers whose bits are the same on every machine: the C library picks variants of `pow` by CPU.
public enum Power {
  /// `base` raised to `exponent`, computed in double precision by range reduction and series; relative error below 1e-7.
  /// - Parameters:
  ///   - base: a positive number.
  public static func of(_ base: Float, _ exponent: Float) -> Float {
    if exponent == 0 { return 1 }
    guard base > 0 else { return 0 }
    return Float(exponential(logarithm(Double(base)) * Double(exponent)))
  }

  /// Natural logarithm of a positive, normal number.
  package static func logarithm(_ x: Double) -> Double {
    var mantissa = x.significand
    var exponent = Double(x.exponent)
    if mantissa > 1.4142135623730951 {
      mantissa /= 2
      exponent += 1
    }
    // log m = 2·atanh((m−1)/(m+1)), with |t| < 0.172: eleven odd terms reach double precision.
    let t = (mantissa - 1) / (mantissa + 1)
    let square = t * t
    var sum = 0.0
    var k = 21.0
    while k >= 1 {
      sum = sum * square + 1 / k
      k -= 2
    }
    return 2 * t * sum + exponent * 0.6931471805599453
  }

  /// `e^x` for |x| < 700.
  static func exponential(_ x: Double) -> Double {
    let steps = (x * 1.4426950408889634).rounded()
    let rest = x - steps * 0.6931471805599453
    var sum = 1.0
    var k = 14.0
    while k >= 1 {
      sum = 1 + rest / k * sum
      k -= 1
    }
    let clamped = max(-1022, min(1023, steps))
    return sum * Double(sign: .plus, exponent: Int(clamped), significand: 1)
  }
}
