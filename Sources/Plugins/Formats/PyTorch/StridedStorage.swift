import QuantCore

/// A matrix whose rows do not follow each other: a transposed or cut-out view, as PyTorch saves it.
struct StridedStorage: TensorStorage {
  /// The type of each element.
  let elementType: ElementType
  /// From the first element of the view to the last one that any row reaches.
  let bytes: ByteView
  /// Elements between a row and the next.
  let rowStride: Int
  /// Elements between neighbours in a row.
  let columnStride: Int
  let byteCount: Int

  var schemeName: String { elementType.schemeName }
  var verbatim: ByteView? { nil }
  var isNumeric: Bool { PlainStorage(elementType, bytes).isNumeric }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let size = elementType.bitCount / 8
    // Elements are gathered as they are and then read like any other row.
    let row = [UInt8](unsafeUninitializedCapacity: rows.count * rowLength * size) { buffer, count in
      bytes.withUnsafeBytes { source in
        for (local, row) in rows.enumerated() {
          for column in 0..<rowLength {
            let from = (row * rowStride + column * columnStride) * size, to = (local * rowLength + column) * size
            for byte in 0..<size { buffer[to + byte] = source[from + byte] }
          }
        }
      }
      count = rows.count * rowLength * size
    }
    PlainStorage(elementType, ByteView(row)).decode(rows: 0..<rows.count, rowLength: rowLength, into: destination)
  }
}
