public import QuantCore

/// Tensor classes of torchao, flattened into safetensors files as transformers writes them. Only 8-bit weights are read.
///
/// For a layer `X` of class `Int8Tensor`: `X._weight_qdata` I8 `[out, in]`, `X._weight_scale` `[out, groups]`, and
/// `X._weight_zero_point` I8 of the same shape, all 0. The class and the shape of the blocks that share a scale are in the
/// metadata of the file, under the name of the weight. Clients round the products to the model's type; qconvert does not.
public struct TorchAO: Unpacker {
  public static let id = "torchao"
  public static let summary = "8-bit weights of torchao in safetensors files (read only)."
  public static let reference = "https://github.com/pytorch/ao"

  private static let mark = "._weight_"
  private static let codes = "qdata", scale = "scale", zero = "zero_point"

  public init() {}

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == TorchAO.id else { return nil }
    var layers: [String: [String: CheckpointTensor]] = [:]
    for tensor in stored {
      guard let (layer, part) = TorchAO.split(tensor.name) else { continue }
      layers[layer, default: [:]][part] = tensor
    }
    var done: Set<String> = []
    return try stored.compactMap { tensor in
      guard let (layer, _) = TorchAO.split(tensor.name) else { return tensor }
      guard done.insert(layer).inserted, let parts = layers[layer] else { return nil }
      let name = layer + ".weight"
      do { return try TorchAO.tensor(name, parts, description: metadata[name]?.stringValue) } catch let failure as Failure {
        throw failure.inTensor(name)
      }
    }
  }

  private static func split(_ name: String) -> (layer: String, part: String)? {
    for part in [codes, scale, zero] where name.hasSuffix(mark + part) { return (String(name.dropLast(mark.count + part.count)), part) }
    return nil
  }

  /// A weight, made from its parts and from what the metadata says about it.
  /// - Throws: `Failure` `ao.…`.
  private static func tensor(_ name: String, _ parts: [String: CheckpointTensor], description: String?) throws(Failure) -> CheckpointTensor
  {
    guard let description, let json = try? JSON.parse(ByteView(Array(description.utf8)), .strict) else {
      throw Failure(.data, "ao.metadata", "the metadata of its file does not say which class it has")
    }
    let kind = json["_type"]?.stringValue ?? "none"
    let block = (json["_data"]?["block_size"]?.arrayValue ?? []).compactMap(\.intValue)
    guard kind == "Int8Tensor", block.count == 2, block[0] == 1, block[1] > 0 else {
      throw Failure(
        .unsupported, "ao.class",
        "has class \(JSON.string(kind).text()) with blocks of \(block); only Int8Tensor with blocks in rows is supported",
        remedy: "Give the unquantized model.")
    }
    guard let codes = parts[TorchAO.codes], codes.storage.elementType == .i8, codes.shape.count == 2, codes.shape[0] > 0,
      let bytes = codes.storage.verbatim, bytes.count > 0, codes.shape[1].isMultiple(of: block[1])
    else { throw Failure(.data, "ao.codes", "needs a matrix of signed bytes with rows that are whole blocks of \(block[1])") }
    let groups = codes.shape[0] * (codes.shape[1] / block[1])
    guard let scaleTensor = parts[TorchAO.scale], let scales = StoredNumbers(scaleTensor), scales.count == groups,
      let scaleType = scaleTensor.storage.elementType,
      let scheme = IntegerScheme(
        bits: 8, groupLength: block[1] == codes.shape[1] ? nil : block[1], isSymmetric: true, modelType: scaleType)
    else { throw Failure(.data, "ao.scales", "needs \(groups) scales") }
    if let zeros = parts[TorchAO.zero]?.storage.verbatim, !zeros.withUnsafeBytes({ $0.allSatisfy { $0 == 0 } }) {
      throw Failure(.unsupported, "ao.zero-points", "has zero points, which are not supported", remedy: "Give the unquantized model.")
    }
    let storage = TorchAOStorage(
      scheme: scheme, byteCount: parts.values.reduce(0) { $0 + $1.storage.byteCount }, bytes: bytes, scales: scales)
    return CheckpointTensor(name: name, shape: codes.shape, storage: storage)
  }
}

/// Signed bytes with scales, decoded row by row.
private struct TorchAOStorage: QuantizedStorage {
  let scheme: any Scheme
  let byteCount: Int
  var verbatim: ByteView? { nil }
  let bytes: ByteView
  let scales: StoredNumbers

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: rows.count, columns: rowLength)
    bytes.withUnsafeBytes { codes in
      let first = rows.lowerBound * rowLength
      for index in panel.codes.indices { panel.codes[index] = Int32(Int8(bitPattern: codes[first + index])) }
    }
    for index in panel.parameters.indices { panel.parameters[index] = scales[rows.lowerBound * panel.groupsPerRow + index] }
    return panel
  }
}
