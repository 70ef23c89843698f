extension Double {
  /// The value with a fixed number of decimals, rounded to nearest; `nan`, `inf` or `-inf` if it is not finite.
  func fixed(_ places: Int) -> String {
    guard isFinite else { return isNaN ? "nan" : self < 0 ? "-inf" : "inf" }
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    // Beyond 2^63, decimals add nothing.
    guard let scaled = Int(exactly: (magnitude * Double(scale)).rounded()) else { return "\(self)" }
    let sign = self < 0 && scaled > 0 ? "-" : ""
    guard places > 0 else { return sign + String(scaled) }
    let decimals = String(scaled % scale)
    return sign + String(scaled / scale) + "." + String(repeating: "0", count: places - decimals.count) + decimals
  }
}

extension Int {
  /// The number with a comma between groups of three digits: `6,738,415,616`.
  var grouped: String {
    var text = ""
    for (index, digit) in String(magnitude).reversed().enumerated() {
      if index > 0, index.isMultiple(of: 3) { text.append(",") }
      text.append(digit)
    }
    return (self < 0 ? "-" : "") + String(text.reversed())
  }
}

extension String {
  /// The text followed by spaces up to a width.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: Swift.max(0, width - count)) }
  /// The text preceded by spaces up to a width.
  func leftPadded(to width: Int) -> String { String(repeating: " ", count: Swift.max(0, width - count)) + self }

  /// At most `width` characters, the last of them an ellipsis if something was cut.
  func truncated(to width: Int) -> String { count <= width ? self : String(prefix(Swift.max(0, width - 1))) + "…" }
}
