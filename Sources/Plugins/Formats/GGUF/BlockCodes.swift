import QuantCore

/// Codes and parameters of a tensor that is stored as GGUF blocks of a type whose scheme is known.
struct BlockCodes: QuantizedStorage {
  var scheme: any Scheme { blocks }
  var byteCount: Int { bytes.count }
  var verbatim: ByteView? { bytes }

  private let blocks: any GGUFBlockScheme
  private let bytes: ByteView

  /// Nil for a type that can be decoded, but whose codes and parameters cannot be separated.
  init?(_ type: BlockType, _ bytes: ByteView) {
    guard let blocks = type.scheme else { return nil }
    self.blocks = blocks
    self.bytes = bytes
  }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = blocks.emptyPanel(rows: rows.count, columns: rowLength)
    let rowBytes = blocks.layout.rowBytes(columns: rowLength)
    bytes.withUnsafeBytes { buffer in
      guard let base = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
      blocks.forEachBlock(of: &panel) { index, codes, parameters in
        blocks.unpack(
          base + rows.lowerBound * rowBytes + index * blocks.layout.bytes, codes: codes, parameters: parameters)
      }
    }
    return panel
  }
}
