/// A regular expression of a tokenizer file, compiled for matching at a place of a text. The first alternative that matches wins, as in
/// backtracking engines.
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

  /// Memory that is reused from match to match.
  struct Scratch {
    fileprivate struct Choice {
      var step: Int
      var index: Int
      /// A run can also end earlier, down to here.
      var lowest: Int
    }
    fileprivate var choices: [Choice] = []
    /// How often a match went back to a choice, and where to, once that was often: a place that was tried leads nowhere again.
    fileprivate var returns = 0
    fileprivate var tried: Set<Place> = []
    fileprivate struct Place: Hashable {
      var step: Int
      var index: Int
    }

    init() {}
  }

  /// The end of the match that begins at `start`, or nil.
  /// - Parameters:
  ///   - text: scalars and their classes.
  ///   - bounds: the part of the text that the expression sees.
  func match(_ text: borrowing ScalarText, _ bounds: Range<Int>, at start: Int, _ scratch: inout Scratch) -> Int? {
    scratch.choices.removeAll(keepingCapacity: true)
    scratch.returns = 0
    if !scratch.tried.isEmpty { scratch.tried.removeAll() }
    return match(text, bounds, at: start, from: 0, &scratch)
  }

  /// Patterns of known tokenizers go back a few times in a match. One that goes back more often may do so without end, and then remembers
  /// where it has been.
  private static let forgottenReturns = 1000

  private func match(
    _ text: borrowing ScalarText, _ bounds: Range<Int>, at start: Int, from first: Int,
    _ scratch: inout Scratch
  ) -> Int? {
    let base = scratch.choices.count
    var step = first
    var index = start
    while true {
      var fails = false
      switch program[step] {
      case .one(let set):
        if index < bounds.upperBound, set.contains(text.scalars[index], text.classes[index]) { index += 1 } else { fails = true }
        step += 1
      case .run(let set, let minimum, let maximum, let repetition):
        let limit = maximum < bounds.upperBound - index ? index + maximum : bounds.upperBound
        var end = index
        let least = index + minimum
        if repetition == .lazy {
          while end < min(least, limit), set.contains(text.scalars[end], text.classes[end]) { end += 1 }
        } else {
          while end < limit, set.contains(text.scalars[end], text.classes[end]) { end += 1 }
        }
        if end < least {
          fails = true
        } else {
          if repetition == .greedy, end > least { scratch.choices.append(.init(step: step + 1, index: end - 1, lowest: least)) }
          index = end
        }
        step += 1
      case .split(let next, let other):
        scratch.choices.append(.init(step: other, index: index, lowest: index))
        step = next
      case .jump(let next): step = next
      case .ahead(let isNegated, let next):
        // What is ahead may be reached again from another place, and match there.
        let tried = scratch.tried
        scratch.tried = []
        if (match(text, bounds, at: index, from: step + 1, &scratch) != nil) == isNegated {
          fails = true
        }
        scratch.tried = tried
        step = next
      case .behind(let set, let isNegated):
        let holds = index > bounds.lowerBound && set.contains(text.scalars[index - 1], text.classes[index - 1])
        if holds == isNegated { fails = true }
        step += 1
      case .wordBoundary(let isNegated):
        if (isWord(text, bounds, index - 1) != isWord(text, bounds, index)) == isNegated { fails = true }
        step += 1
      case .start:
        fails = index != bounds.lowerBound
        step += 1
      case .end:
        fails = index != bounds.upperBound
        step += 1
      case .accept:
        scratch.choices.removeLast(scratch.choices.count - base)
        return index
      }
      guard fails else { continue }
      repeat {
        guard scratch.choices.count > base, let last = scratch.choices.last else { return nil }
        step = last.step
        index = last.index
        if last.index > last.lowest {
          scratch.choices[scratch.choices.count - 1].index -= 1
        } else {
          scratch.choices.removeLast()
        }
        scratch.returns += 1
      } while scratch.returns > Expression.forgottenReturns
        && !scratch.tried.insert(.init(step: step, index: index)).inserted
    }
  }

  private func isWord(_ text: borrowing ScalarText, _ bounds: Range<Int>, _ index: Int) -> Bool {
    bounds.contains(index) && ScalarSet.word.contains(text.scalars[index], text.classes[index])
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
    var scratch = Scratch()
    var parts: [(range: Range<Int>, matches: Bool)] = []
    var unmatched = range.lowerBound
    var index = range.lowerBound
    while index < range.upperBound {
      guard let end = match(text, range, at: index, &scratch) else {
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
