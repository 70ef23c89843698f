extension PlannedTensor {
  /// Bytes of the matrices that are held in memory to transpose this output; 0 unless it is a stack of matrices, some of which are
  /// transposed in the source or in the output.
  var turnedBytes: Int {
    guard shape.count == 3, !isVector, !isInPlace, repacking == nil else { return 0 }
    var bytes = isTransposed ? shape[1] * shape[2] * 4 : 0
    var seen: Set<String> = []
    for place in pieces.lazy.map(\.source) where place.layout.isTransposed && seen.insert(place.name).inserted {
      // Anything but a stack needs whole matrices.
      guard place.shape.count == 3 else { return 0 }
      bytes += place.shape[1] * place.shape[2] * 4
    }
    return bytes
  }
}
