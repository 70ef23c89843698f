/// Compiles the regular expressions of tokenizer files: alternatives, groups, sets with properties, repetitions, and looking ahead.
struct ExpressionParser {
  private let scalars: [UInt32]
  private var index = 0
  private var ignoresCase = false
  private var depth = 0
  private let source: String

  /// - Throws: `Failure` `tokenizer.pattern` for an expression that is malformed, or uses what no known tokenizer needs.
  static func parse(_ source: String) throws(Failure) -> Expression {
    var parser = ExpressionParser(source)
    let program = try parser.alternatives()
    guard parser.index == parser.scalars.count else { throw parser.malformed("a group ends that did not begin") }
    return Expression(source: source, program: program + [.accept])
  }

  /// A text as an expression that matches just it.
  static func escaped(_ text: String) -> String {
    text.unicodeScalars.reduce(into: "") { result, scalar in
      if scalar.isASCII, !scalar.properties.isAlphabetic, scalar.properties.numericType == nil, scalar.value > 0x20 { result += "\\" }
      result.unicodeScalars.append(scalar)
    }
  }

  private init(_ source: String) {
    self.source = source
    scalars = source.unicodeScalars.map { $0.value }
  }

  private func malformed(_ what: String) -> Failure {
    Failure(
      .unsupported, "tokenizer.pattern", "the tokenizer's pattern is not understood (\(what)): \(source)",
      remedy: "Choose another pre-tokenizer than the file's with \(setting: "pre") NAME.")
  }

  private typealias Program = [Expression.Step]
  private static let maximumSteps = 10_000

  private var next: Character? { index < scalars.count ? Unicode.Scalar(scalars[index]).map { Character($0) } : nil }

  private mutating func takes(_ text: String) -> Bool {
    let wanted = text.unicodeScalars.map { $0.value }
    guard scalars.count - index >= wanted.count, scalars[index..<index + wanted.count].elementsEqual(wanted) else { return false }
    index += wanted.count
    return true
  }

  /// A program with all its jumps moved.
  private static func moved(_ program: Program, by offset: Int) -> Program {
    program.map { step in
      switch step {
      case .split(let a, let b): .split(a + offset, b + offset)
      case .jump(let a): .jump(a + offset)
      case .ahead(let isNegated, let next): .ahead(isNegated: isNegated, next: next + offset)
      default: step
      }
    }
  }

  private mutating func alternatives() throws(Failure) -> Program {
    depth += 1
    defer { depth -= 1 }
    guard depth < 100 else { throw malformed("its groups are nested too deeply") }
    var options = [try sequence()]
    while takes("|") { options.append(try sequence()) }
    guard var result = options.popLast() else { return [] }
    for option in options.reversed() {
      let first = [Expression.Step.split(1, option.count + 2)] + ExpressionParser.moved(option, by: 1)
      result = first + [.jump(option.count + 2 + result.count)] + ExpressionParser.moved(result, by: option.count + 2)
    }
    return result
  }

  private mutating func sequence() throws(Failure) -> Program {
    var result: Program = []
    let outerCase = ignoresCase
    defer { ignoresCase = outerCase }
    while let character = next, character != "|", character != ")" {
      if takes("(?i)") {
        ignoresCase = true
        continue
      }
      let item = try repeated(try atom())
      result += ExpressionParser.moved(item, by: result.count)
      guard result.count < ExpressionParser.maximumSteps else { throw malformed("it is too long") }
    }
    return result
  }

  // MARK: Repetitions

  private mutating func repeated(_ atom: Program) throws(Failure) -> Program {
    var atom = atom
    while let (minimum, maximum) = try counts() {
      let repetition: Expression.Repetition = takes("+") ? .possessive : takes("?") ? .lazy : .greedy
      atom = try repeated(atom, minimum, maximum, repetition)
    }
    return atom
  }

  private mutating func counts() throws(Failure) -> (Int, Int)? {
    if takes("*") { return (0, .max) }
    if takes("+") { return (1, .max) }
    if takes("?") { return (0, 1) }
    guard next == "{" else { return nil }
    var place = index + 1
    func number() -> Int? {
      var value: Int?
      while place < scalars.count, scalars[place] &- 0x30 < 10, value ?? 0 < 100_000 {
        value = (value ?? 0) * 10 + Int(scalars[place] - 0x30)
        place += 1
      }
      return value
    }
    guard let minimum = number() else { return nil }
    var maximum = minimum
    if place < scalars.count, scalars[place] == 0x2c {
      place += 1
      maximum = number() ?? .max
    }
    guard place < scalars.count, scalars[place] == 0x7d else { return nil }
    guard minimum <= maximum else { throw malformed("a repetition's limits are reversed") }
    index = place + 1
    return (minimum, maximum)
  }

  private func repeated(_ atom: Program, _ minimum: Int, _ maximum: Int, _ repetition: Expression.Repetition) throws(Failure) -> Program {
    if atom.count == 1, case .one(let set) = atom[0], repetition != .lazy || minimum == maximum {
      return [.run(set, minimum: minimum, maximum: maximum, repetition)]
    }
    // Without a limit it would go round for ever.
    guard repetition != .possessive, maximum != .max || consumes(atom) else {
      throw malformed("a repetition of something that can be empty")
    }
    let copies = maximum == .max ? minimum + 1 : maximum
    guard copies == 0 || atom.count < ExpressionParser.maximumSteps / copies else { throw malformed("a repetition is too long") }
    var result: Program = []
    for _ in 0..<minimum { result += ExpressionParser.moved(atom, by: result.count) }
    func choice(_ inside: Int, _ after: Int) -> Expression.Step { repetition == .lazy ? .split(after, inside) : .split(inside, after) }
    if maximum == .max {
      let start = result.count
      result.append(choice(start + 1, start + atom.count + 2))
      result += ExpressionParser.moved(atom, by: start + 1) + [.jump(start)]
    } else {
      let end = result.count + (maximum - minimum) * (atom.count + 1)
      for _ in minimum..<maximum {
        let start = result.count
        result.append(choice(start + 1, end))
        result += ExpressionParser.moved(atom, by: start + 1)
      }
    }
    return result
  }

  /// Whether a program consumes at least one character however it matches: all its paths do.
  private func consumes(_ program: Program) -> Bool {
    var seen = Set<Int>()
    var open = [0]
    while let place = open.popLast() {
      guard place < program.count else { return false }
      guard seen.insert(place).inserted else { continue }
      switch program[place] {
      case .one: continue
      case .run(_, let minimum, _, _) where minimum > 0: continue
      case .split(let a, let b): open += [a, b]
      case .jump(let a), .ahead(_, let a): open.append(a)
      default: open.append(place + 1)
      }
    }
    return true
  }

  // MARK: Atoms

  private mutating func atom() throws(Failure) -> Program {
    if takes("(") { return try group() }
    if takes("[") { return [.one(cased(try set()))] }
    if takes(".") { return [.one(ScalarSet.one(0x0a).inverted)] }
    if takes("^") { return [.start] }
    if takes("$") { return [.end] }
    if takes("\\b") { return [.wordBoundary(isNegated: false)] }
    if takes("\\B") { return [.wordBoundary(isNegated: true)] }
    if takes("\\z") { return [.end] }
    guard let character = next, !"*+?".contains(character) else { throw malformed("a repetition of nothing") }
    return [.one(cased(try member()))]
  }

  private func cased(_ set: ScalarSet) -> ScalarSet { ignoresCase ? set.ignoringCase : set }

  private mutating func group() throws(Failure) -> Program {
    let outerCase = ignoresCase
    defer { ignoresCase = outerCase }
    for (mark, isNegated) in [("?=", false), ("?!", true)] where takes(mark) {
      let inner = try closed()
      return [.ahead(isNegated: isNegated, next: inner.count + 2)] + ExpressionParser.moved(inner, by: 1) + [.accept]
    }
    for (mark, isNegated) in [("?<=", false), ("?<!", true)] where takes(mark) {
      guard case let inner = try closed(), inner.count == 1, case .one(let set) = inner[0] else {
        throw malformed("it looks back further than one character")
      }
      return [.behind(set, isNegated: isNegated)]
    }
    if takes("?i:") { ignoresCase = true } else if next == "?", !takes("?:") { throw malformed("a kind of group that is not known") }
    return try closed()
  }

  private mutating func closed() throws(Failure) -> Program {
    let inner = try alternatives()
    guard takes(")") else { throw malformed("a group does not end") }
    return inner
  }

  // MARK: Sets

  /// What follows `[`.
  private mutating func set() throws(Failure) -> ScalarSet {
    depth += 1
    defer { depth -= 1 }
    guard depth < 100 else { throw malformed("its sets are nested too deeply") }
    let isNegated = takes("^")
    var parts: [ScalarSet] = []
    var result: ScalarSet?
    var isFirst = true
    while !takes("]") || isFirst {
      // Directly after the bracket, a closing one is a member.
      if isFirst, index > 0, scalars[index - 1] == 0x5d {
        parts.append(.one(0x5d))
        isFirst = false
        continue
      }
      isFirst = false
      guard index < scalars.count else { throw malformed("a set does not end") }
      if takes("&&") {
        let left = ScalarSet.union(parts)
        result = result.map { $0.intersected(left) } ?? left
        parts = []
      } else if takes("[") {
        if next == ":" { throw malformed("a class with a name") }
        parts.append(try set())
      } else {
        let literal = scalars[index] != 0x5c
        let low = scalars[index]
        let first = try member()
        let start = literal ? low : escapedScalar
        if let start, index + 1 < scalars.count, scalars[index] == 0x2d, scalars[index + 1] != 0x5d {
          index += 1
          let isPlain = scalars[index] != 0x5c
          let high = scalars[index]
          _ = try member()
          guard let end = isPlain ? high : escapedScalar, start <= end else { throw malformed("a range in a set is reversed") }
          parts.append(.range(start...end))
        } else {
          parts.append(first)
        }
      }
    }
    let last = ScalarSet.union(parts)
    let all = result.map { $0.intersected(last) } ?? last
    return isNegated ? all.inverted : all
  }

  /// The character of the last escape, or nil if it stood for a set.
  private var escapedScalar: UInt32?

  /// One character, or an escape.
  private mutating func member() throws(Failure) -> ScalarSet {
    guard index < scalars.count else { throw malformed("it ends early") }
    let scalar = scalars[index]
    index += 1
    guard scalar == 0x5c else { return .one(scalar) }
    guard index < scalars.count, let escape = next else { throw malformed("it ends after a backslash") }
    index += 1
    escapedScalar = nil
    switch escape {
    case "s": return .space
    case "S": return ScalarSet.space.inverted
    case "d": return .digit
    case "D": return ScalarSet.digit.inverted
    case "w": return .word
    case "W": return ScalarSet.word.inverted
    case "p", "P": return try property(isNegated: escape == "P")
    default:
      let value = try code(of: escape)
      escapedScalar = value
      return .one(value)
    }
  }

  private mutating func code(of escape: Character) throws(Failure) -> UInt32 {
    switch escape {
    case "n": return 0x0a
    case "r": return 0x0d
    case "t": return 0x09
    case "f": return 0x0c
    case "v": return 0x0b
    case "u", "x":
      let braced = takes("{")
      var value: UInt32 = 0
      var digits = 0
      while digits < (braced ? 8 : escape == "u" ? 4 : 2), let digit = next?.hexDigitValue {
        value = value << 4 | UInt32(digit)
        digits += 1
        index += 1
      }
      guard digits > 0, !braced || takes("}") else { throw malformed("the number of a character is missing") }
      return value
    default:
      guard escape.isASCII, !escape.isLetter, !escape.isNumber, let value = escape.unicodeScalars.first?.value else {
        throw malformed("the escape \\\(escape)")
      }
      return value
    }
  }

  private mutating func property(isNegated: Bool) throws(Failure) -> ScalarSet {
    var name = ""
    if takes("{") {
      while let character = next, character != "}", name.count < 40 {
        name.append(character)
        index += 1
      }
      guard takes("}") else { throw malformed("a property does not end") }
    } else if let character = next {
      name.append(character)
      index += 1
    }
    let isInverted = name.hasPrefix("^")
    guard let set = ScalarSet.property(isInverted ? String(name.dropFirst()) : name) else {
      throw malformed("the property \(name)")
    }
    return isNegated != isInverted ? set.inverted : set
  }
}
