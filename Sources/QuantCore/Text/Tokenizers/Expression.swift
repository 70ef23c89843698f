/// A regular expression of a tokenizer file, compiled for matching at a place of a text. The first alternative that matches wins, as in
/// backtracking engines; the time is bounded by the lengths of expression and text (`Expression.Memory`).
struct Expression: Sendable, Equatable {
  /// As the file spells it.
  let source: String
  let program: [Step]

  enum Repetition: Sendable, Equatable { case greedy, lazy, possessive }

  /// One instruction.
  enum Step: Sendable, Equatable {
    case one(ScalarSet)
    /// As many characters of a set as possible (or as few), within limits.
    case run(ScalarSet, minimum: Int, maximum: Int, Repetition)
    /// Goes on at the first, and if that fails at the second.
    case split(Int, Int)
    case jump(Int)
    /// Matches what follows up to `accept` without consuming it, and goes on after it.
    case ahead(isNegated: Bool, next: Int)
    /// The character before belongs to a set.
    case behind(ScalarSet, isNegated: Bool)
    case wordBoundary(isNegated: Bool)
    case start
    case end
    case accept
  }

  /// What becomes of the parts that match, as tokenizer.json names it.
  enum Behavior: String, Sendable {
    case isolated = "Isolated"
    case removed = "Removed"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"
  }

  /// Splits one part of the text. An empty match cuts the text where it is.
  /// - Parameter isInverted: the text between matches counts as what matches.
  func split(_ text: borrowing ScalarText, _ range: Range<Int>, _ behavior: Behavior, isInverted: Bool, into pieces: inout [Range<Int>]) {
    var scratch = Scratch(of: self, range)
    var parts: [(range: Range<Int>, matches: Bool)] = []
    var unmatched = range.lowerBound
    var index = range.lowerBound
    while index < range.upperBound {
      guard let end = match(text, at: index, &scratch) else {
        index += 1
        continue
      }
      if unmatched < index { parts.append((unmatched..<index, isInverted)) }
      if index < end { parts.append((index..<end, !isInverted)) }
      unmatched = end
      index = max(end, index + 1)
    }
    if unmatched < range.upperBound { parts.append((unmatched..<range.upperBound, isInverted)) }
    switch behavior {
    case .isolated: for part in parts { pieces.append(part.range) }
    case .removed: for part in parts where !part.matches { pieces.append(part.range) }
    case .contiguous:
      let first = pieces.count
      for (place, part) in parts.enumerated() {
        if pieces.count > first, place > 0, parts[place - 1].matches == part.matches {
          pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<part.range.upperBound
        } else {
          pieces.append(part.range)
        }
      }
    case .mergedWithPrevious:
      let first = pieces.count
      for (place, part) in parts.enumerated() {
        if part.matches, pieces.count > first, place > 0, !parts[place - 1].matches {
          pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<part.range.upperBound
        } else {
          pieces.append(part.range)
        }
      }
    case .mergedWithNext:
      for (place, part) in parts.enumerated() {
        if place > 0, parts[place - 1].matches, !part.matches {
          pieces[pieces.count - 1] = pieces[pieces.count - 1].lowerBound..<part.range.upperBound
        } else {
          pieces.append(part.range)
        }
      }
    }
  }
}
