import QuantCore

/// A tensor stored as GGUF blocks.
struct BlockStorage: TensorStorage {
  let type: GGUFTensorType
  private let bytes: ByteView
  private let decoder: (@Sendable (UnsafeRawPointer, Int, UnsafeMutablePointer<Float>) -> Void)?

  /// - Parameter bytes: exactly the blocks of the tensor; the reader checked their number.
  init(_ type: GGUFTensorType, _ bytes: ByteView) {
    self.type = type
    self.bytes = bytes
    decoder = blockDecoder(for: type.schemeName)
  }

  var schemeName: String { type.schemeName }
  var byteCount: Int { bytes.count }
  var verbatim: ByteView? { bytes }
  /// False for block types that can be copied, but not decoded.
  var isNumeric: Bool { decoder != nil }
  var codes: (any QuantizedStorage)? { BlockCodes(type, bytes) }
  var inputRounding: (any ValueRounding)? { InputBlocks(weightBlockLength: type.blockLength) }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let rowBytes = rowLength / type.blockLength * type.blockBytes
    guard let decoder, !rows.isEmpty,
      let part = bytes.slice(rows.lowerBound * rowBytes..<rows.upperBound * rowBytes)
    else { return }
    part.withUnsafeBytes { buffer in
      if let source = buffer.baseAddress { decoder(source, rows.count * rowLength, destination) }
    }
  }
}
