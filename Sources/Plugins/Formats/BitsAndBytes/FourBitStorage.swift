import QuantCore

/// A matrix of 4-bit codes in blocks that run across its rows, decoded row by row.
struct FourBitStorage: TensorStorage {
  fileprivate let scheme: FourBitScheme
  fileprivate let bytes: ByteView
  fileprivate let magnitudes: BlockMagnitudes
  private let values: [Float]
  private let isAligned: Bool
  let byteCount: Int

  var schemeName: String { scheme.name }
  var isNumeric: Bool { true }
  var verbatim: ByteView? { nil }
  /// Codes can be repacked if no block reaches from one row into the next.
  var codes: (any QuantizedStorage)? { isAligned ? FourBitRows(blocks: self) : nil }

  /// The weight that the parts make up.
  /// - Parameter weight: the codes, in the type that bitsandbytes was told to store bytes in.
  /// - Throws: `Failure` `bnb.…`.
  static func tensor(_ weight: CheckpointTensor, parts: [String: CheckpointTensor]) throws(Failure) -> CheckpointTensor {
    do throws(Failure) {
      let states = FourBitType.allCases.compactMap { type in parts[BitsAndBytes.stateSuffix + type.rawValue].map { (type, $0) } }
      guard let (type, tensor) = states.first, states.count == 1 else {
        throw Failure(.data, "bnb.parts", "its state (quant_state) is missing, or there is more than one")
      }
      let state = try FourBitState(tensor, type: type)
      let count = state.shape.reduce(1, *)
      guard let codes = weight.storage.verbatim, codes.count == (count - 1) / 2 + 1 else {
        throw Failure(.data, "bnb.shape", "holds \(weight.storage.byteCount) bytes of codes, which do not fit a matrix of \(state.shape)")
      }
      guard let table = parts[BitsAndBytes.tableSuffix].flatMap({ StoredNumbers($0) }), table.count == 16, table.values == type.values
      else {
        throw Failure(
          .unsupported, "bnb.table", "its table (quant_map) is missing or is not that of \(type.rawValue)",
          remedy: "Give the unquantized model.")
      }
      let magnitudes = try BlockMagnitudes(parts, state: state, blocks: (count - 1) / state.blockLength + 1)
      guard let scheme = FourBitScheme(type, blockLength: state.blockLength, modelType: state.modelType) else {
        throw Failure(.data, "bnb.state", "its block length is unknown")
      }
      let storage = FourBitStorage(
        scheme: scheme, bytes: codes, magnitudes: magnitudes, values: type.values,
        isAligned: state.shape[1].isMultiple(of: state.blockLength),
        byteCount: codes.count + magnitudes.byteCount + 64 + tensor.storage.byteCount)
      return CheckpointTensor(name: weight.name, shape: state.shape, storage: storage)
    } catch {
      throw error.inTensor(weight.name)
    }
  }

  /// The code of a weight, by its index in the whole matrix.
  fileprivate static func code(_ index: Int, in codes: UnsafeRawBufferPointer) -> Int {
    Int(index.isMultiple(of: 2) ? codes[index / 2] >> 4 : codes[index / 2] & 15)
  }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    bytes.withUnsafeBytes { codes in
      var index = rows.lowerBound * rowLength
      let end = rows.upperBound * rowLength, start = index
      while index < end {
        let block = index / scheme.blockLength
        let magnitude = magnitudes[block]
        let last = min(end, (block + 1) * scheme.blockLength)
        while index < last {
          destination[index - start] = values[FourBitStorage.code(index, in: codes)] * magnitude
          index += 1
        }
      }
    }
  }
}

/// The codes of a matrix whose rows are whole blocks.
private struct FourBitRows: QuantizedStorage {
  let blocks: FourBitStorage

  var scheme: any Scheme { blocks.scheme }
  var byteCount: Int { blocks.byteCount }
  var verbatim: ByteView? { nil }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = blocks.scheme.emptyPanel(rows: rows.count, columns: rowLength)
    let first = rows.lowerBound * rowLength
    blocks.bytes.withUnsafeBytes { codes in
      for index in panel.codes.indices { panel.codes[index] = Int32(FourBitStorage.code(first + index, in: codes)) }
    }
    for index in panel.parameters.indices { panel.parameters[index] = blocks.magnitudes[first / blocks.scheme.blockLength + index] }
    return panel
  }
}
