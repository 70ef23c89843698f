/// Keys (rotated) and values of one block for the positions of one sequence so far.
struct KeyValueCache: Sendable {
  /// `[positions, keyValueHeadCount * headSize]`, row after row.
  var keys: [Float] = []
  var values: [Float] = []
}
