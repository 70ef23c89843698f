import Synchronization

/// A cache of an adapter's thin matrices: every row of a merged weight needs all of one of them, and rows may be decoded one by one.
final class DecodedRanks: Sendable {
  private struct Kept {
    var target: String
    var index: Int
    var values: [Float]
  }

  /// How many values are kept at most; the last matrix is always kept.
  private let limit: Int
  /// The most recently used one is the last.
  private let kept = Mutex<[Kept]>([])

  init(limit: Int = 1 << 22) { self.limit = limit }

  /// `matrix.ranks()`. Threads that need the same matrix wait for the one that decodes it.
  /// - Parameters:
  ///   - target: name of the merged tensor.
  ///   - index: the index of the update that the matrix belongs to.
  func of(_ matrix: ThinMatrix, target: String, index: Int) -> [Float] {
    kept.withLock { kept in
      if let place = kept.firstIndex(where: { $0.index == index && $0.target == target }) {
        let found = kept.remove(at: place)
        kept.append(found)
        return found.values
      }
      let values = matrix.ranks()
      kept.append(Kept(target: target, index: index, values: values))
      while kept.count > 1, kept.reduce(0, { $0 + $1.values.count }) > limit { kept.removeFirst() }
      return values
    }
  }
}
