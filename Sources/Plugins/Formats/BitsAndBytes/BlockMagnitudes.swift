import QuantCore

/// The largest magnitudes of blocks, read one by one in place.
///
/// Plain: one F32 per block. Nested ("double quantization"): one byte per block, the index into a table of 256 F32 values;
/// 256 consecutive blocks share a factor, and all blocks an offset: `table[code] * factor + offset`.
struct BlockMagnitudes {
  static let nestedSuffix = ".nested_absmax"
  static let nestedTableSuffix = ".nested_quant_map"

  /// Bytes of all tensors that hold them.
  let byteCount: Int
  private let plain: StoredNumbers?
  private let codes: ByteView?
  private let table: [Float]
  private let factors: StoredNumbers?
  private let nested: FourBitState.Nested

  /// - Parameter blocks: how many there are.
  /// - Throws: `Failure` `bnb.parts` or `bnb.absmax`.
  init(_ parts: [String: CheckpointTensor], state: FourBitState, blocks: Int) throws(Failure) {
    guard let magnitudes = parts[BitsAndBytes.magnitudesSuffix] else {
      throw Failure(.data, "bnb.parts", "the magnitudes of its blocks (absmax) are missing")
    }
    guard let nested = state.nested else {
      guard let plain = StoredNumbers(magnitudes), magnitudes.storage.elementType == .f32, plain.count == blocks else {
        throw Failure(.data, "bnb.absmax", "needs \(blocks) magnitudes of blocks in F32, but has shape \(magnitudes.shape)")
      }
      self.plain = plain
      byteCount = magnitudes.storage.byteCount
      codes = nil
      table = []
      factors = nil
      self.nested = FourBitState.Nested(blockLength: 1, offset: 0)
      return
    }
    guard let factorTensor = parts[BlockMagnitudes.nestedSuffix], let tableTensor = parts[BlockMagnitudes.nestedTableSuffix] else {
      throw Failure(.data, "bnb.parts", "the factors or the table of its nested magnitudes are missing")
    }
    guard let codes = magnitudes.storage.verbatim, magnitudes.storage.elementType == .u8, codes.count == blocks,
      let factors = StoredNumbers(factorTensor), factors.count == (blocks - 1) / nested.blockLength + 1,
      let table = StoredNumbers(tableTensor), table.count == 256
    else {
      throw Failure(
        .data, "bnb.absmax",
        "needs \(blocks) nested magnitudes in U8, their factors and a table of 256, but has shapes \(magnitudes.shape), "
          + "\(factorTensor.shape) and \(tableTensor.shape)")
    }
    plain = nil
    self.codes = codes
    self.table = table.values
    self.factors = factors
    self.nested = nested
    byteCount = magnitudes.storage.byteCount + factorTensor.storage.byteCount + tableTensor.storage.byteCount
  }

  /// - Precondition: `block` is less than the number of blocks.
  subscript(block: Int) -> Float {
    if let plain { return plain[block] }
    guard let codes, let factors else { return 0 }
    return table[codes.withUnsafeBytes { Int($0[block]) }] * factors[block / nested.blockLength] + nested.offset
  }
}
