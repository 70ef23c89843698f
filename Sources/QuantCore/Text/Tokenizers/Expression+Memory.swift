extension Expression {
  /// What a matcher knows about a part of a text, so that it looks at no place again and again.
  ///
  /// A backtracking matcher may try the same step at the same place from every beginning, or in every order: in quadratic or exponential
  /// time. Whether a step leads to a match from a place depends on nothing else, so it is remembered. That costs more than it saves in
  /// ordinary texts; it begins when much more was tried than matched.
  struct Memory {
    enum Outcome { case fails, matches }

    /// Whether anything is remembered.
    private(set) var isKept = false
    private let bounds: Range<Int>
    private let stepCount: Int
    private var work = 0
    private var allowance: Int
    /// Sets of places, one bit for each place of the part. They are all in one array: an array of arrays might be copied at each change.
    private var sets: [UInt64] = []
    /// For each step: where the set of the places from which it fails begins, and that of those from which it leads to a match; nil if it
    /// is empty.
    private var starts: [(failing: Int?, matching: Int?)] = []
    private var runs: [Run] = []

    static let usualAllowance = 1024
    /// Ordinary texts need a few steps for a character, one for each alternative that fails.
    private static let allowancePerCharacter = 64

    /// What is known about a step that is a run.
    private struct Run {
      /// A stretch of characters that belong to the run.
      var known = 0..<0
      /// Places at which the run may not end, because what follows fails.
      var failedEnds = 0..<0
    }

    init(stepCount: Int, _ bounds: Range<Int>, allowance: Int) {
      self.stepCount = stepCount
      self.bounds = bounds
      self.allowance = allowance
    }

    /// Counts what was tried.
    mutating func count(_ tries: Int) {
      work += tries
      guard work > allowance, !isKept else { return }
      isKept = true
      starts = [(failing: Int?, matching: Int?)](repeating: (nil, nil), count: stepCount)
      runs = [Run](repeating: Run(), count: stepCount)
    }

    /// More may be tried, because so many characters are done with.
    mutating func advance(by characters: Int) { allowance += characters * Memory.allowancePerCharacter }

    func outcome(of step: Int, at index: Int) -> Outcome? {
      guard isKept else { return nil }
      return contains(starts[step].failing, index) ? .fails : contains(starts[step].matching, index) ? .matches : nil
    }

    mutating func note(_ outcome: Outcome, of step: Int, at index: Int) {
      guard isKept else { return }
      let found = outcome == .fails ? starts[step].failing : starts[step].matching
      let start = found ?? sets.count
      if found == nil {
        sets += repeatElement(0, count: bounds.count >> 6 + 1)
        if outcome == .fails { starts[step].failing = start } else { starts[step].matching = start }
      }
      let offset = index - bounds.lowerBound
      sets[start + offset >> 6] |= 1 << UInt64(offset & 63)
    }

    private func contains(_ start: Int?, _ index: Int) -> Bool {
      guard let start else { return false }
      let offset = index - bounds.lowerBound
      return sets[start + offset >> 6] >> UInt64(offset & 63) & 1 != 0
    }

    // MARK: Runs

    /// A stretch of characters that belong to a run.
    func known(_ step: Int) -> Range<Int> { isKept ? runs[step].known : 0..<0 }

    /// These characters belong to a run.
    mutating func learn(_ step: Int, _ stretch: Range<Int>) {
      guard isKept, !stretch.isEmpty else { return }
      let known = runs[step].known
      let isOne = !known.isEmpty && stretch.lowerBound <= known.upperBound && known.lowerBound <= stretch.upperBound
      runs[step].known =
        isOne ? min(known.lowerBound, stretch.lowerBound)..<max(known.upperBound, stretch.upperBound) : stretch
    }

    /// A run may not end here: what follows fails.
    mutating func failedEnd(of step: Int, at index: Int) {
      guard isKept else { return }
      let failed = runs[step].failedEnds
      if failed.isEmpty || index < failed.lowerBound - 1 || index > failed.upperBound {
        runs[step].failedEnds = index..<index + 1
      } else {
        runs[step].failedEnds = min(index, failed.lowerBound)..<max(index + 1, failed.upperBound)
      }
    }

    /// The last place, from `end` down, at which a run may end; nil if it may not.
    func firstOpenEnd(of step: Int, from end: Int, downTo least: Int) -> Int? {
      guard isKept, runs[step].failedEnds.contains(end) else { return end }
      let open = runs[step].failedEnds.lowerBound - 1
      return open >= least ? open : nil
    }
  }
}
