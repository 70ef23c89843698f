/// One step of a pre-tokenizer: each match becomes a part, and so does the text between matches.
///
/// Tokenizer files use only a handful of regular expressions; here each is a hand-written scanner. The first alternative
/// of a pattern that matches wins, as in backtracking engines.
enum SplitPattern: Sendable, Equatable {
  /// Contractions; words, numbers and other characters, each with one optional leading space; white space.
  case gpt2
  /// GPT-4's form: case-insensitive contractions, any one character before a word, numbers of limited length, line ends.
  /// `marks`: combining marks count as letters.
  case gpt4(maximumDigits: Int, marks: Bool)
  /// GPT-4o's form: as `gpt4`, with words split between lower case and upper case.
  case cased(maximumDigits: Int, contractions: Bool)
  /// DeepSeek V3's main pattern.
  case deepseek
  /// Chinese and Japanese characters as DeepSeek V3 separates them.
  case chineseAndJapanese
  /// Runs of numbers, of at most `maximum` characters.
  case numbers(maximum: Int)
  /// Three ASCII digits.
  case threeDigits
  /// ASCII punctuation and category P, in runs or one by one.
  case punctuation(runs: Bool)
  /// White space, which is left out of the parts.
  case whiteSpace
  /// Runs of numbers in groups of three, counted from the end of the run.
  case digitGroups
  /// Any other regular expression, and what becomes of its matches; `inverted`: of the text between them.
  case expression(Expression, Expression.Behavior, inverted: Bool)

  /// Whether what matches is no part of the text.
  private var isRemoved: Bool { self == .whiteSpace }

  /// Splits one part of the text, given as a range of scalars.
  func split(_ text: ScalarText, _ range: Range<Int>, into pieces: inout [Range<Int>]) {
    if case .expression(let expression, let behavior, let inverted) = self {
      return expression.split(text, range, behavior, isInverted: inverted, into: &pieces)
    }
    if self == .digitGroups { return SplitPattern.splitDigits(text, range, into: &pieces) }
    let scanner = PatternScanner(scalars: text.scalars, classes: text.classes, end: range.upperBound)
    var unmatched = range.lowerBound
    var index = range.lowerBound
    while index < range.upperBound {
      let end = scanner.match(self, at: index)
      if end == index {
        index += 1
        continue
      }
      if unmatched < index { pieces.append(unmatched..<index) }
      if !isRemoved { pieces.append(index..<end) }
      index = end
      unmatched = end
    }
    if unmatched < index { pieces.append(unmatched..<index) }
  }

  private static func splitDigits(_ text: ScalarText, _ range: Range<Int>, into pieces: inout [Range<Int>]) {
    var index = range.lowerBound
    while index < range.upperBound {
      let start = index
      while index < range.upperBound, text.classes[index] & UnicodeClass.number == 0 { index += 1 }
      if start < index { pieces.append(start..<index) }
      var group = index
      while index < range.upperBound, text.classes[index] & UnicodeClass.number != 0 { index += 1 }
      while group < index {
        let length = (index - group) % 3 == 0 ? 3 : (index - group) % 3
        pieces.append(group..<group + length)
        group += length
      }
    }
  }
}

/// Matches patterns at a position of a text that ends at `end`.
private struct PatternScanner {
  let scalars: [UInt32]
  let classes: [UInt8]
  let end: Int

  private static let letter = UnicodeClass.letter, mark = UnicodeClass.mark, number = UnicodeClass.number
  private static let space = UnicodeClass.space
  private static let visible = UnicodeClass.punctuation | UnicodeClass.symbol

  /// The end of the match that starts at `start`; `start` if there is none.
  func match(_ pattern: SplitPattern, at start: Int) -> Int {
    switch pattern {
    case .gpt2: gpt2(start)
    case .gpt4(let maximumDigits, let marks):
      gpt4(start, maximumDigits, letters: marks ? Self.letter | Self.mark : Self.letter)
    case .cased(let maximumDigits, let contractions): cased(start, maximumDigits, contractions)
    case .deepseek: deepseek(start)
    case .chineseAndJapanese: run(start) { isChineseOrJapanese(scalars[$0]) }
    case .numbers(let maximum): run(start, Self.number, limit: maximum)
    case .threeDigits:
      start + 3 <= end && (start..<start + 3).allSatisfy { scalars[$0] &- 0x30 < 10 } ? start + 3 : start
    case .whiteSpace: run(start, Self.space)
    case .digitGroups, .expression: start
    case .punctuation(true): run(start) { isPunctuation($0) }
    case .punctuation(false): isPunctuation(start) ? start + 1 : start
    }
  }

  private func gpt2(_ start: Int) -> Int {
    if let end = contraction(start, ignoringCase: false) { return end }
    let first = scalars[start] == 0x20 && start + 1 < end ? start + 1 : start
    let kind = classes[first]
    if kind & Self.letter != 0 { return run(first, Self.letter) }
    if kind & Self.number != 0 { return run(first, Self.number) }
    if kind & Self.space == 0 { return runOfOthers(first, Self.letter | Self.number | Self.space) }
    return whiteSpace(start)
  }

  private func gpt4(_ start: Int, _ maximumDigits: Int, letters: UInt8) -> Int {
    if let end = contraction(start, ignoringCase: true) { return end }
    if let first = wordStart(start, letters: letters, notInFront: Self.letter | Self.number) { return run(first, letters) }
    return numbersAndRest(start, maximumDigits, letters: letters, slash: false)
  }

  private func cased(_ start: Int, _ maximumDigits: Int, _ contractions: Bool) -> Int {
    if let first = wordStart(start, letters: Self.letter | Self.mark, notInFront: Self.letter | Self.number) {
      // As many upper-case or caseless characters as possible, then lower-case or caseless ones. The pattern needs at least
      // one of the latter, and backtracks into the first part for it if it can.
      var middle = first
      while middle < end, isUpperOrCaseless(middle) { middle += 1 }
      var stop = middle
      while stop < end, isLowerOrCaseless(stop) { stop += 1 }
      if stop == middle {
        var last = middle
        while last > first, !isLowerOrCaseless(last - 1) { last -= 1 }
        stop = last > first ? last : middle
      }
      return contractions ? contraction(stop, ignoringCase: true) ?? stop : stop
    }
    return numbersAndRest(start, maximumDigits, letters: Self.letter, slash: true)
  }

  private func deepseek(_ start: Int) -> Int {
    if isASCIIPunctuation(scalars[start]), start + 1 < end, isASCIILetter(scalars[start + 1]) {
      return run(start + 1) { isASCIILetter(scalars[$0]) }
    }
    let letters = Self.letter | Self.mark
    if let first = wordStart(start, letters: letters, notInFront: Self.letter | Self.visible) { return run(first, letters) }
    let first = scalars[start] == 0x20 && start + 1 < end ? start + 1 : start
    if classes[first] & Self.visible != 0 { return run(run(first, Self.visible)) { isLineEnd($0) } }
    return classes[start] & Self.space != 0 ? lineEndOrWhiteSpace(start) : start
  }

  /// The last alternatives of GPT-4's patterns: numbers, other characters followed by line ends, white space.
  private func numbersAndRest(_ start: Int, _ maximumDigits: Int, letters: UInt8, slash: Bool) -> Int {
    if classes[start] & Self.number != 0 { return run(start, Self.number, limit: maximumDigits) }
    let first = scalars[start] == 0x20 && start + 1 < end ? start + 1 : start
    let taken = letters | Self.number | Self.space
    if classes[first] & taken == 0 {
      return run(runOfOthers(first, taken)) { isLineEnd($0) || (slash && scalars[$0] == 0x2f) }
    }
    return classes[start] & Self.space != 0 ? lineEndOrWhiteSpace(start) : start
  }

  /// `[^\r\n…]?` before letters: returns where the letters start.
  @inline(__always) private func wordStart(_ start: Int, letters: UInt8, notInFront: UInt8) -> Int? {
    if classes[start] & letters != 0 { return start }
    let isWord = start + 1 < end && classes[start + 1] & letters != 0 && classes[start] & notInFront == 0 && !isLineEnd(start)
    return isWord ? start + 1 : nil
  }

  /// `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d`.
  @inline(__always) private func contraction(_ start: Int, ignoringCase: Bool) -> Int? {
    guard start + 1 < end, scalars[start] == 0x27 else { return nil }
    func letter(_ index: Int) -> UInt8 {
      guard index < end else { return 0 }
      let scalar = scalars[index]
      // If case is ignored, the long s matches s.
      if ignoringCase, scalar == 0x17f { return UInt8(ascii: "s") }
      guard scalar < 0x80 else { return 0 }
      return UInt8(scalar) | (ignoringCase ? 0x20 : 0)
    }
    let pair = (letter(start + 1), letter(start + 2))
    switch pair.0 {
    case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
    case UInt8(ascii: "r") where pair.1 == UInt8(ascii: "e"), UInt8(ascii: "v") where pair.1 == UInt8(ascii: "e"),
      UInt8(ascii: "l") where pair.1 == UInt8(ascii: "l"):
      return start + 3
    default: return nil
    }
  }

  /// `\s*[\r\n]+|\s+(?!\S)|\s+`
  private func lineEndOrWhiteSpace(_ start: Int) -> Int {
    var index = run(start, Self.space)
    while index > start, !isLineEnd(index - 1) { index -= 1 }
    return index > start ? index : whiteSpace(start)
  }

  /// `\s+(?!\S)|\s+`: white space, leaving the last character to the word after it.
  private func whiteSpace(_ start: Int) -> Int {
    let stop = run(start, Self.space)
    return stop < end && stop - start > 1 ? stop - 1 : stop
  }

  @inline(__always) private func run(_ start: Int, _ kinds: UInt8, limit: Int = .max) -> Int {
    var index = start
    while index < end, index - start < limit, classes[index] & kinds != 0 { index += 1 }
    return index
  }

  @inline(__always) private func runOfOthers(_ start: Int, _ kinds: UInt8) -> Int {
    var index = start
    while index < end, classes[index] & kinds == 0 { index += 1 }
    return index
  }

  @inline(__always) private func run(_ start: Int, where holds: (Int) -> Bool) -> Int {
    var index = start
    while index < end, holds(index) { index += 1 }
    return index
  }

  private func isLineEnd(_ index: Int) -> Bool { scalars[index] == 0x0a || scalars[index] == 0x0d }
  private func isPunctuation(_ index: Int) -> Bool {
    classes[index] & UnicodeClass.punctuation != 0 || isASCIIPunctuation(scalars[index])
  }
  private func isUpperOrCaseless(_ index: Int) -> Bool {
    classes[index] & (Self.letter | Self.mark) != 0 && classes[index] & UnicodeClass.lower == 0
  }
  private func isLowerOrCaseless(_ index: Int) -> Bool {
    classes[index] & (Self.letter | Self.mark) != 0 && classes[index] & UnicodeClass.upper == 0
  }
  private func isASCIILetter(_ scalar: UInt32) -> Bool { (scalar | 0x20) &- 0x61 < 26 }
  private func isASCIIPunctuation(_ scalar: UInt32) -> Bool {
    scalar > 0x20 && scalar < 0x7f && scalar &- 0x30 >= 10 && !isASCIILetter(scalar)
  }
  private func isChineseOrJapanese(_ scalar: UInt32) -> Bool {
    (0x4e00...0x9fa5).contains(scalar) || (0x3040...0x30ff).contains(scalar)
  }
}
