import QuantCore

/// A matrix that is not contiguous: a transposed or sliced view, as PyTorch saves it.
struct StridedStorage: TensorStorage {
  /// The type of each element.
  let elementType: ElementType
  /// From the first element of the view to the last one that any row reaches.
  let bytes: ByteView
  /// Elements from one row to the next.
  let rowStride: Int
  /// Elements from one column to the next.
  let columnStride: Int
  let byteCount: Int

  var schemeName: String { elementType.schemeName }
  var verbatim: ByteView? { nil }
  var isNumeric: Bool { PlainStorage(elementType, bytes).isNumeric }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let size = elementType.bitCount / 8
    // Elements are gathered unchanged and then decoded like any other row.
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
