import CBlocks
import QuantCore

/// A tensor stored as GGUF blocks.
struct BlockStorage: TensorStorage {
  let type: BlockType
  let bytes: ByteView
  private let decoder: qc_block_decoder?

  /// - Parameter bytes: exactly the blocks of the tensor; the reader has checked the byte count.
  init(_ type: BlockType, _ bytes: ByteView) {
    self.type = type
    self.bytes = bytes
    decoder = type.decoder
  }

  /// The scheme of the codes: NVFP4 without a scale of the tensor is not the grid of that name in other formats.
  var schemeName: String { codes?.schemeName ?? type.name }
  var byteCount: Int { bytes.count }
  var verbatim: ByteView? { bytes }
  /// Every block type can be decoded.
  var isNumeric: Bool { decoder != nil }
  var codes: (any QuantizedStorage)? { FloatBlockCodes(type, bytes, globalScale: nil) ?? BlockCodes(type, bytes) }
  var inputRounding: (any ValueRounding)? { InputBlocks(for: type) }

  func storedPart(name: String, shape: [Int]) -> StoredPart? {
    StoredPart(name: name, shape: shape, type: .blocks(type.name), byteCount: bytes.count)
  }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let rowBytes = type.rowBytes(columns: rowLength)
    guard let decoder, !rows.isEmpty,
      let part = bytes.slice(rows.lowerBound * rowBytes..<rows.upperBound * rowBytes)
    else { return }
    part.withUnsafeBytes { buffer in
      if let source = buffer.baseAddress { decoder(source, Int64(rows.count * rowLength), destination) }
    }
  }
}
