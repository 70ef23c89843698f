/// What to do about an error: one sentence.
///
/// The core does not know how a program spells its settings and commands, so a sentence names them as values:
/// `"Give \(setting: "force") to replace it."` A command line spells that `Give --force to replace it.`
public struct Remedy: Sendable, Equatable, ExpressibleByStringInterpolation {
  /// A stretch of the sentence.
  public enum Piece: Sendable, Equatable {
    case text(String)
    /// A setting by its name in the command line, without dashes.
    case setting(String)
    /// A command with its arguments: `plugins`.
    case command(String)
  }

  public private(set) var pieces: [Piece]

  public init(_ text: String) { pieces = [.text(text)] }
  public init(stringLiteral text: String) { self.init(text) }
  public init(stringInterpolation: StringInterpolation) { pieces = stringInterpolation.pieces }

  /// The sentence, with settings and commands in the words of a program.
  public func spelled(setting: (String) -> String, command: (String) -> String) -> String {
    pieces.map { piece in
      switch piece {
      case .text(let text): text
      case .setting(let name): setting(name)
      case .command(let words): command(words)
      }
    }.joined()
  }

  public static func + (a: Remedy, b: Remedy) -> Remedy {
    var sum = StringInterpolation(literalCapacity: 0, interpolationCount: 2)
    sum.appendInterpolation(a)
    sum.appendInterpolation(b)
    return Remedy(stringInterpolation: sum)
  }

  public static func + (a: Remedy, b: String) -> Remedy { a + Remedy(b) }

  public struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var pieces: [Piece] = []

    public init(literalCapacity: Int, interpolationCount: Int) {}

    public mutating func appendLiteral(_ text: String) { append(.text(text)) }
    public mutating func appendInterpolation(_ value: some CustomStringConvertible) { appendLiteral(value.description) }
    public mutating func appendInterpolation(_ remedy: Remedy) { for piece in remedy.pieces { append(piece) } }
    public mutating func appendInterpolation(setting name: String) { pieces.append(.setting(name)) }
    public mutating func appendInterpolation(command: String) { pieces.append(.command(command)) }

    /// Neighbouring texts are one piece, so that equal sentences are equal values.
    private mutating func append(_ piece: Piece) {
      if case .text(let text) = piece {
        if text.isEmpty { return }
        if case .text(let before) = pieces.last {
          pieces[pieces.count - 1] = .text(before + text)
          return
        }
      }
      pieces.append(piece)
    }
  }
}

extension Remedy: CustomStringConvertible {
  /// The sentence for programs that have no spelling of their own.
  public var description: String { spelled(setting: { "'\($0)'" }, command: { "'\($0)'" }) }
}
