import QuantCore

/// Sizes in bytes as people type and read them. `K` and `KB` mean powers of 1000, `KiB` powers of 1024, and so on.
enum ByteSize {
  private static let decimal = ["B", "KB", "MB", "GB", "TB", "PB"]

  /// The bytes of `5GB`, `512MiB`, `1.5T` or `1000000`.
  /// - Throws: `Failure` of kind usage if the text is not a positive size below 2^60 bytes.
  static func parse(_ text: String, option: String) throws(Failure) -> Int {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    guard let factor = factor(of: text.dropFirst(number.count).uppercased()), let value = Double(number) else {
      throw malformed(text, option)
    }
    let bytes = (value * factor).rounded()
    guard bytes >= 1, bytes < 0x1p60 else { throw malformed(text, option) }
    return Int(bytes)
  }

  /// `4.58 GB`: three significant digits, or whole bytes.
  static func format(_ bytes: Int) -> String {
    var value = Double(bytes)
    var unit = 0
    // 999.5 would be printed as 1000.
    while value >= 999.5, unit + 1 < decimal.count {
      value /= 1000
      unit += 1
    }
    let places = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
    return value.fixed(places) + " " + decimal[unit]
  }

  private static func factor(of unit: String) -> Double? {
    let letters = ["", "K", "M", "G", "T"]
    for (power, letter) in letters.enumerated() {
      if unit == letter || unit == letter + "B" { return repeated(1000, power) }
      if power > 0, unit == letter + "IB" { return repeated(1024, power) }
    }
    return nil
  }

  private static func repeated(_ base: Double, _ power: Int) -> Double { (0..<power).reduce(1) { product, _ in product * base } }

  private static func malformed(_ text: String, _ option: String) -> Failure {
    Failure(.usage, "usage.size", "\(option) '\(text)' is not a size", remedy: "Write bytes or a unit: 5GB, 512MiB.")
  }
}
