import ArgumentParser

/// Colour for one stream, or none.
struct Style: Sendable {
  private let isColoured: Bool

  static let plain = Style(isColoured: false)

  private init(isColoured: Bool) { self.isColoured = isColoured }

  /// - Parameters:
  ///   - isTerminal: whether the stream is a terminal that understands colour.
  ///   - noColor: the value of `NO_COLOR`; unless empty, it turns colour off for `auto`.
  init(_ choice: ColorChoice, isTerminal: Bool, noColor: String?) {
    switch choice {
    case .always: isColoured = true
    case .never: isColoured = false
    case .auto: isColoured = isTerminal && (noColor ?? "").isEmpty
    }
  }

  func bold(_ text: String) -> String { code("1", text) }
  func red(_ text: String) -> String { code("1;31", text) }
  func yellow(_ text: String) -> String { code("1;33", text) }

  private func code(_ code: String, _ text: String) -> String { isColoured ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }
}

/// When to colour.
enum ColorChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, always, never
}
