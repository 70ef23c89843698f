/// Splits text into words, within which tokens merge, for byte-level BPE.
struct PreTokenizer: Sendable, Equatable {
  /// Applied one after another, each to the parts that the previous one gives.
  var steps: [SplitPattern]
  /// Applied after those to the spelling of the bytes, if a file has steps after `ByteLevel`. This makes a difference: the
  /// second byte of many characters is spelled `¼` or `²`, which are numbers.
  var spelledSteps: [SplitPattern] = []
  /// Whether text that does not start with a space gets one.
  var prependsSpace = false

  /// Calls `body` with the bytes of each word in order.
  func words(of bytes: [UInt8], _ body: (ArraySlice<UInt8>) -> Void) {
    let bytes = prependsSpace && bytes.first != 0x20 ? [0x20] + bytes : bytes
    ranges(of: bytes) { body(bytes[$0]) }
  }

  /// Calls `body` with the range of each word in order; no space is prepended.
  func ranges(of bytes: [UInt8], _ body: (Range<Int>) -> Void) {
    var pieces = PreTokenizer.byteRanges(ScalarText(bytes), [0..<bytes.count], steps)
    if !spelledSteps.isEmpty { pieces = PreTokenizer.byteRanges(ScalarText(spelling: bytes), pieces, spelledSteps) }
    for piece in pieces where !piece.isEmpty { body(piece) }
  }

  private static func byteRanges(_ text: ScalarText, _ ranges: [Range<Int>], _ steps: [SplitPattern]) -> [Range<Int>] {
    // A whole text is one range. With several ranges there is one scalar per byte, so ranges of bytes are ranges of scalars.
    var pieces = ranges.count == 1 ? [0..<text.scalars.count] : ranges
    for step in steps {
      var finer: [Range<Int>] = []
      finer.reserveCapacity(pieces.count)
      for piece in pieces { step.split(text, piece, into: &finer) }
      pieces = finer
    }
    return pieces.map { text.starts[$0.lowerBound]..<text.starts[$0.upperBound] }
  }
}
