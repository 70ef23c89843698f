import QuantCore

/// A condition on the result of a conversion or an evaluation that rejects it: `kld.mean > 0.02`.
struct Gate: Sendable, Equatable, CustomStringConvertible {
  private enum Comparison: String, CaseIterable, Sendable {
    // Two-character signs first: the text is searched in this order.
    case atLeast = ">="
    case atMost = "<="
    case above = ">"
    case below = "<"
  }

  /// The figure that the condition is on.
  let key: String
  private let comparison: Comparison
  private let bound: Double
  private let typedBound: String

  /// - Throws: `Failure` of kind usage if the text is not KEY, one of > >= < <=, and a number.
  init(_ text: String) throws(Failure) {
    func trimmed(_ text: Substring) -> String { String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()) }
    guard
      let comparison = Comparison.allCases.first(where: { text.contains($0.rawValue) }),
      let range = text.firstRange(of: comparison.rawValue),
      let bound = Double(trimmed(text[range.upperBound...])), bound.isFinite
    else {
      throw Failure(
        .usage, "gate.syntax", "'\(text)' is not a condition", remedy: "Write KEY, one of > >= < <=, and a number: 'kld.mean > 0.02'.")
    }
    key = trimmed(text[..<range.lowerBound])
    guard Measurements.keys.contains(key) else {
      let near = Registry.nearest(to: key, among: Measurements.keys)
      throw Failure(
        .usage, "gate.unknown-key", "unknown figure '\(key)'",
        remedy: (near.isEmpty ? "" : "Did you mean \(near.joined(separator: " or "))? ")
          + "Known: \(Measurements.keys.joined(separator: ", ")).")
    }
    self.comparison = comparison
    self.bound = bound
    typedBound = trimmed(text[range.upperBound...])
  }

  var description: String { "\(key) \(comparison.rawValue) \(typedBound)" }

  /// Whether a measured value is rejected. NaN is always rejected.
  func rejects(_ value: Double) -> Bool {
    switch comparison {
    case .atLeast: !(value < bound)
    case .atMost: !(value > bound)
    case .above: !(value <= bound)
    case .below: !(value >= bound)
    }
  }

  /// The failure of all gates that reject a measured value; nil if none does. Gates on figures that were not measured are skipped.
  static func failure(of gates: [Gate], _ measurements: Measurements) -> Failure? {
    let failed = gates.compactMap { gate in
      measurements[gate.key].flatMap { gate.rejects($0) ? "\(gate.key) is \($0.shortest), and the gate is '\(gate)'" : nil }
    }
    let reasons = failed.joined(separator: "; ")
    return failed.isEmpty ? nil : Failure(.gate, "gate.failed", "rejected: \(reasons)")
  }

  /// Refuses gates on figures that will not be measured.
  /// - Parameter remedy: what to do so that they are measured.
  static func check(_ gates: [Gate], measures isMeasured: (String) -> Bool, remedy: Remedy) throws(Failure) {
    for gate in gates where !isMeasured(gate.key) {
      throw Failure(.usage, "gate.not-measured", "the gate '\(gate)' needs a figure that is not measured", remedy: remedy)
    }
  }
}

extension Double {
  /// Six significant digits at most; whole numbers as they are.
  fileprivate var shortest: String {
    if let whole = Int(exactly: self) { return String(whole) }
    let places = magnitude >= 1000 ? 1 : magnitude >= 1 ? 4 : magnitude >= 0.001 ? 6 : 9
    return fixed(places)
  }
}
