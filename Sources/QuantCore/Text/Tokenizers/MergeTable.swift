/// Which pairs of neighbouring tokens merge into which token, and with what priority: the core of byte-pair encoding.
struct MergeTable: Sendable {
  /// Open addressing with linear probing: `left << 32 | right`, `free` for an empty slot.
  private var keys: [UInt64]
  /// `rank << 32 | merged id`.
  private var values: [UInt64]
  private var used = 0
  private static let free = UInt64.max

  /// - Parameter capacity: expected number of pairs.
  init(capacity: Int) {
    var slots = 16
    while slots < capacity * 2 { slots *= 2 }
    keys = [UInt64](repeating: MergeTable.free, count: slots)
    values = [UInt64](repeating: 0, count: slots)
  }

  /// Adds a pair, or replaces what it merges into. Lower ranks merge first.
  mutating func insert(_ left: Int, _ right: Int, rank: Int, id: Int) {
    if used * 3 > keys.count * 2 { grow() }
    let key = UInt64(UInt32(truncatingIfNeeded: left)) << 32 | UInt64(UInt32(truncatingIfNeeded: right))
    let slot = self.slot(of: key)
    if keys[slot] == MergeTable.free { used += 1 }
    keys[slot] = key
    values[slot] = UInt64(UInt32(truncatingIfNeeded: rank)) << 32 | UInt64(UInt32(truncatingIfNeeded: id))
  }

  private mutating func grow() {
    let (oldKeys, oldValues) = (keys, values)
    keys = [UInt64](repeating: MergeTable.free, count: oldKeys.count * 2)
    values = [UInt64](repeating: 0, count: oldKeys.count * 2)
    for (key, value) in zip(oldKeys, oldValues) where key != MergeTable.free {
      let slot = slot(of: key)
      keys[slot] = key
      values[slot] = value
    }
  }

  @inline(__always) private func slot(of key: UInt64) -> Int {
    var slot = Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 20) & (keys.count - 1)
    while keys[slot] != key, keys[slot] != MergeTable.free { slot = (slot + 1) & (keys.count - 1) }
    return slot
  }

  /// `rank << 32 | merged id`, or `UInt64.max` if the two do not merge.
  @inline(__always) private func value(_ left: UInt32, _ right: UInt32) -> UInt64 {
    let slot = slot(of: UInt64(left) << 32 | UInt64(right))
    return keys[slot] == MergeTable.free ? UInt64.max : values[slot]
  }

  /// Merges the symbols of one word until no pair is left: always the pair with the lowest rank, and of equal ones the leftmost.
  func apply(to symbols: inout [UInt32], _ scratch: inout Scratch) {
    if symbols.count <= 32 { applyShort(to: &symbols, &scratch) } else { applyLong(to: &symbols, &scratch) }
  }

  /// Checks every pair for each merge: fastest for the words of ordinary text.
  private func applyShort(to symbols: inout [UInt32], _ scratch: inout Scratch) {
    guard symbols.count > 1 else { return }
    scratch.pairs.removeAll(keepingCapacity: true)
    for index in 1..<symbols.count { scratch.pairs.append(value(symbols[index - 1], symbols[index])) }
    while true {
      var best = UInt64.max
      var place = 0
      for (index, pair) in scratch.pairs.enumerated() where pair >> 32 < best >> 32 {
        best = pair
        place = index
      }
      if best == UInt64.max { return }
      symbols[place] = UInt32(truncatingIfNeeded: best)
      symbols.remove(at: place + 1)
      scratch.pairs.remove(at: place)
      if place > 0 { scratch.pairs[place - 1] = value(symbols[place - 1], symbols[place]) }
      if place < scratch.pairs.count { scratch.pairs[place] = value(symbols[place], symbols[place + 1]) }
    }
  }

  /// Keeps the pairs in a heap and the symbols in a linked list: O(n log n) for words of any length.
  /// - Parameter limit: only tokens with ids below it are made.
  func applyLong(to symbols: inout [UInt32], _ scratch: inout Scratch, below limit: Int = .max) {
    let count = symbols.count
    guard count > 1 else { return }
    func merges(_ pair: UInt64) -> Bool { pair != UInt64.max && Int(pair & 0xffff_ffff) < limit }
    // Neighbours of each symbol; -1 or `count` at the ends. A symbol whose `next` is -1 was merged into another.
    var next = Array(1...count)
    var previous = Array(-1..<count - 1)
    scratch.heap.removeAll(keepingCapacity: true)
    for place in 0..<count - 1 {
      let pair = value(symbols[place], symbols[place + 1])
      if merges(pair) { scratch.push(Candidate(pair: pair, place: place)) }
    }
    while let top = scratch.pop() {
      let place = top.place
      let right = next[place]
      // An entry is stale if either side has changed since it was made.
      guard right >= 0, right < count, value(symbols[place], symbols[right]) == top.pair else { continue }
      symbols[place] = UInt32(truncatingIfNeeded: top.pair)
      let behind = next[right]
      next[place] = behind
      next[right] = -1
      if behind < count {
        previous[behind] = place
        let pair = value(symbols[place], symbols[behind])
        if merges(pair) { scratch.push(Candidate(pair: pair, place: place)) }
      }
      if previous[place] >= 0 {
        let pair = value(symbols[previous[place]], symbols[place])
        if merges(pair) { scratch.push(Candidate(pair: pair, place: previous[place])) }
      }
    }
    var kept = 0
    var place = 0
    while place < count {
      symbols[kept] = symbols[place]
      kept += 1
      place = next[place]
    }
    symbols.removeLast(count - kept)
  }

  struct Candidate {
    var pair: UInt64
    var place: Int

    @inline(__always) static func < (a: Candidate, b: Candidate) -> Bool {
      a.pair >> 32 != b.pair >> 32 ? a.pair < b.pair : a.place < b.place
    }
  }

  /// Memory that is reused from word to word.
  struct Scratch {
    var pairs: [UInt64] = []
    /// Binary heap, smallest first.
    var heap: [Candidate] = []

    mutating func push(_ candidate: Candidate) {
      heap.append(candidate)
      var child = heap.count - 1
      while child > 0 {
        let parent = (child - 1) / 2
        guard heap[child] < heap[parent] else { return }
        heap.swapAt(child, parent)
        child = parent
      }
    }

    mutating func pop() -> Candidate? {
      guard let last = heap.popLast() else { return nil }
      guard let top = heap.first else { return last }
      heap[0] = last
      var parent = 0
      while true {
        var child = 2 * parent + 1
        guard child < heap.count else { return top }
        if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
        guard heap[child] < heap[parent] else { return top }
        heap.swapAt(child, parent)
        parent = child
      }
    }
  }
}
