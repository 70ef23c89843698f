import QuantCore

/// A matrix of signed bytes with the largest magnitude of each row (LLM.int8()).
struct RowStorage: QuantizedStorage {
  let scheme: any Scheme
  let byteCount: Int
  var verbatim: ByteView? { nil }
  private let bytes: ByteView
  private let magnitudes: StoredNumbers

  /// - Throws: `Failure` `bnb.…`.
  static func tensor(_ weight: CheckpointTensor, parts: [String: CheckpointTensor]) throws(Failure) -> CheckpointTensor {
    guard weight.storage.elementType == .i8, weight.shape.count == 2, weight.shape[0] > 0, weight.shape[1] > 0,
      let codes = weight.storage.verbatim
    else { throw Failure(.data, "bnb.shape", "has magnitudes of rows, but is not a matrix of signed bytes", tensor: weight.name) }
    guard let tensor = parts[BitsAndBytes.rowMagnitudesName], tensor.storage.elementType == .f32, let magnitudes = StoredNumbers(tensor),
      magnitudes.count == weight.shape[0]
    else {
      throw Failure(.data, "bnb.absmax", "needs \(weight.shape[0]) magnitudes of rows (SCB) in F32", tensor: weight.name)
    }
    if let order = parts[BitsAndBytes.orderName], order.storage.verbatim?.bytes != [0] {
      throw Failure(
        .unsupported, "bnb.order", "its bytes are in the order of a GPU's tiles (weight_format)", tensor: weight.name,
        remedy: "Save it again with a current bitsandbytes.")
    }
    let storage = RowStorage(
      scheme: LLMInt8Scheme(modelType: .f16), byteCount: codes.count + magnitudes.count * 4, bytes: codes, magnitudes: magnitudes)
    return CheckpointTensor(name: weight.name, shape: weight.shape, storage: storage)
  }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: rows.count, columns: rowLength)
    bytes.withUnsafeBytes { codes in
      let first = rows.lowerBound * rowLength
      for index in panel.codes.indices { panel.codes[index] = Int32(Int8(bitPattern: codes[first + index])) }
    }
    for index in panel.parameters.indices { panel.parameters[index] = magnitudes[rows.lowerBound + index] }
    return panel
  }
}
