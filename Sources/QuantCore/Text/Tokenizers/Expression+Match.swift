extension Expression {
  /// The state of matching an expression at places of one part of a text.
  struct Scratch {
    /// The part of the text that the expression sees.
    let bounds: Range<Int>
    fileprivate var choices: [Choice] = []
    fileprivate var memory: Memory

    /// - Parameter allowance: how much is tried before the memory begins.
    init(of expression: Expression, _ bounds: Range<Int>, allowance: Int = Memory.usualAllowance) {
      self.bounds = bounds
      memory = Memory(stepCount: expression.program.count, bounds, allowance: allowance)
    }
  }

  /// Where a match goes on if what it tries fails.
  fileprivate struct Choice {
    /// The step that was tried.
    var origin: Int
    /// Where it was tried.
    var place: Int
    /// The step and the place to go on at. Without a step, all that could be tried there has failed.
    var step: Int?
    var index: Int
    /// A run can also end earlier, down to here.
    var lowest: Int
  }

  /// The end of the match that begins at `start`, or nil.
  /// - Parameter scratch: made for this expression, and used for this text alone.
  func match(_ text: borrowing ScalarText, at start: Int, _ scratch: inout Scratch) -> Int? {
    scratch.choices.removeAll(keepingCapacity: true)
    let end = match(text, at: start, from: 0, isAhead: false, &scratch)
    scratch.memory.advance(by: max(1, (end ?? start) - start))
    return end
  }

  /// - Parameter isAhead: whether only the existence of a match counts, and not its end.
  private func match(_ text: borrowing ScalarText, at start: Int, from first: Int, isAhead: Bool, _ scratch: inout Scratch) -> Int? {
    let bounds = scratch.bounds
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
        if let choice = run(text, step, at: index, set, minimum, maximum, repetition, &scratch) {
          if repetition == .greedy, choice.index > choice.lowest {
            scratch.choices.append(
              Choice(origin: step, place: index, step: step + 1, index: choice.index - 1, lowest: choice.lowest))
          }
          index = choice.index
        } else {
          fails = true
        }
        step += 1
      case .split(let next, let other):
        switch scratch.memory.outcome(of: step, at: index) {
        case .fails: fails = true
        case .matches where isAhead:
          accept(isAhead, from: base, &scratch)
          return index
        default: scratch.choices.append(Choice(origin: step, place: index, step: other, index: index, lowest: index))
        }
        step = next
      case .jump(let next): step = next
      case .ahead(let isNegated, let next):
        let matches: Bool
        switch scratch.memory.outcome(of: step, at: index) {
        case .matches: matches = true
        case .fails: matches = false
        case nil:
          matches = match(text, at: index, from: step + 1, isAhead: true, &scratch) != nil
          scratch.memory.note(matches ? .matches : .fails, of: step, at: index)
        }
        if matches == isNegated { fails = true }
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
        accept(isAhead, from: base, &scratch)
        return index
      }
      guard fails else { continue }
      guard let choice = nextChoice(above: base, &scratch) else { return nil }
      (step, index) = choice
    }
  }

  /// Where a run that begins at `index` ends, and the first place at which it may; nil if it is too short, or known to lead nowhere.
  private func run(
    _ text: borrowing ScalarText, _ step: Int, at index: Int, _ set: ScalarSet, _ minimum: Int, _ maximum: Int, _ repetition: Repetition,
    _ scratch: inout Scratch
  ) -> (index: Int, lowest: Int)? {
    let bounds = scratch.bounds
    let least = index + minimum
    var limit = maximum < bounds.upperBound - index ? index + maximum : bounds.upperBound
    if repetition == .lazy { limit = min(limit, max(least, index)) }
    var end = index
    var looked = 0
    func look(upTo stop: Int) {
      let begin = end
      while end < stop, set.contains(text.scalars[end], text.classes[end]) { end += 1 }
      looked += end - begin
    }
    // Over what is known to belong to the run, nothing is looked at.
    let known = scratch.memory.known(step)
    if !known.isEmpty {
      if index < known.lowerBound { look(upTo: min(limit, known.lowerBound)) }
      if known.contains(end) { end = min(limit, known.upperBound) }
    }
    look(upTo: limit)
    scratch.memory.count(looked)
    scratch.memory.learn(step, index..<end)
    guard end >= least else { return nil }
    guard repetition == .greedy else { return (end, end) }
    return scratch.memory.firstOpenEnd(of: step, from: end, downTo: least).map { ($0, least) }
  }

  /// Takes back what failed, up to the last choice that is left; nil if there is none.
  private func nextChoice(above base: Int, _ scratch: inout Scratch) -> (step: Int, index: Int)? {
    while scratch.choices.count > base {
      let last = scratch.choices.count - 1
      let choice = scratch.choices[last]
      scratch.memory.count(1)
      guard let step = choice.step else {
        scratch.memory.note(.fails, of: choice.origin, at: choice.place)
        scratch.choices.removeLast()
        continue
      }
      guard case .run = program[choice.origin] else {
        // The other way is the last one.
        if scratch.memory.isKept { scratch.choices[last].step = nil } else { scratch.choices.removeLast() }
        return (step, choice.index)
      }
      scratch.memory.failedEnd(of: choice.origin, at: choice.index + 1)
      guard let open = scratch.memory.firstOpenEnd(of: choice.origin, from: choice.index, downTo: choice.lowest) else {
        scratch.choices.removeLast()
        continue
      }
      if open > choice.lowest { scratch.choices[last].index = open - 1 } else { scratch.choices.removeLast() }
      return (step, open)
    }
    return nil
  }

  /// Forgets the choices of a match, which are no longer needed. They are on the way to a match.
  private func accept(_ isAhead: Bool, from base: Int, _ scratch: inout Scratch) {
    if isAhead, scratch.memory.isKept {
      for choice in scratch.choices[base...] {
        if case .split = program[choice.origin] { scratch.memory.note(.matches, of: choice.origin, at: choice.place) }
      }
    }
    scratch.choices.removeLast(scratch.choices.count - base)
  }

  private func isWord(_ text: borrowing ScalarText, _ bounds: Range<Int>, _ index: Int) -> Bool {
    bounds.contains(index) && ScalarSet.word.contains(text.scalars[index], text.classes[index])
  }
}
