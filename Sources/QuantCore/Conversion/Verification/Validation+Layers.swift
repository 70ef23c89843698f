/// Compares what the configuration says about layers with their tensors.
extension Validation {
  /// Codes in a folder that says nothing about quantization: clients misread them as weights, or use random weights instead.
  static func lostConfiguration(_ checkpoint: Checkpoint, _ reader: (any CheckpointReader.Type)?) -> [Finding] {
    guard reader?.typesSayAll == false, checkpoint.packing == nil else { return [] }
    let codes = checkpoint.tensors.filter { tensor in
      guard tensor.shape.count >= 2, reader?.isRedundant(tensor.name) != true else { return false }
      // Positions and masks have other types.
      guard let type = tensor.storage.elementType else { return false }
      return [.i8, .u8, .i32].contains(type) || type.needsScale
    }
    return Finding.grouped(
      .error, "quantization.missing", "holds codes, but no configuration says how weights are quantized", in: codes.map(\.name))
  }

  /// - Parameter unpacker: the one that unpacked the checkpoint's layers.
  static func layers(_ checkpoint: Checkpoint, _ model: ModelDescription, _ unpacker: (any Unpacker)?) -> [Finding] {
    guard let unpacker, let configuration = checkpoint.quantizationConfiguration else { return [] }
    var (unquantized, ignored): ([String], [String]) = ([], [])
    var seen: Set<String> = []
    for linear in linears(of: model, checkpoint) {
      guard let tensor = checkpoint[linear.place.name], seen.insert(tensor.name).inserted else { continue }
      switch unpacker.expectsQuantized(QuantizedModule.name(ofWeight: tensor.name), configuration: configuration) {
      // Experts in one tensor are no linear layer to clients, who look for its floats.
      case true? where !isQuantized(tensor) && tensor.shape.count == 2: unquantized.append(tensor.name)
      case false? where isQuantized(tensor): ignored.append(tensor.name)
      default: break
      }
    }
    return Finding.grouped(
      .error, "quantization.target-unquantized",
      "is not quantized, but the configuration says that it is: clients look for the parts of its weight", in: unquantized)
      + Finding.grouped(
        .error, "quantization.target-ignored",
        "is quantized, but the configuration says that it is not: clients look for its plain weight", in: ignored)
      + joint(checkpoint, model)
  }

  /// The matrices of linear layers, with their places in the checkpoint.
  private static func linears(of model: ModelDescription, _ checkpoint: Checkpoint) -> [(id: TensorID, place: TensorPlace)] {
    return model.tensors.compactMap { tensor in
      let isLinear = tensor.id.role == .output || model.input(of: tensor.id) != nil
      guard let place = tensor.place(checkpoint.naming), isLinear, !tensor.id.isBias else { return nil }
      return (tensor.id, place)
    }
  }

  /// Plain element types are not quantized; everything else is a scheme.
  private static func isQuantized(_ tensor: CheckpointTensor) -> Bool {
    tensor.storage.elementType == nil
  }

  /// Layers that clients join into one matrix: they must be stored the same way, and share what belongs to a whole matrix.
  private static func joint(_ checkpoint: Checkpoint, _ model: ModelDescription) -> [Finding] {
    var sets: [String: [CheckpointTensor]] = [:]
    var order: [String] = []
    for (id, place) in linears(of: model, checkpoint) {
      guard let set = jointRoles.first(where: { $0.contains(id.role) })?.first, let tensor = checkpoint[place.name] else { continue }
      let key = "\(set) \(id.block ?? -1) \(id.expert ?? -1)"
      if sets[key] == nil { order.append(key) }
      sets[key, default: []].append(tensor)
    }
    var (mixed, unshared): ([String], [String]) = ([], [])
    for key in order {
      guard let tensors = sets[key], let first = tensors.first else { continue }
      if let other = tensors.first(where: { $0.storage.schemeName != first.storage.schemeName }) { mixed.append(other.name) }
      let scales = tensors.compactMap { tensor in globalScale(tensor).map { (tensor.name, $0) } }
      if let other = scales.first(where: { $0.1 != scales[0].1 }) { unshared.append(other.0) }
    }
    return Finding.grouped(
      .warning, "quantization.joint-layers",
      "is stored differently from the layers that vLLM joins with it (query, key and value; gate and up): vLLM refuses this", in: mixed)
      + Finding.grouped(
        .warning, "scale.not-shared",
        "has another tensor scale than the layers that vLLM joins with it: vLLM rounds the scales of their groups again", in: unshared)
  }

  private static let jointRoles: [[TensorRole]] = [[.query, .key, .value], [.gate, .up]]

  /// The F32 scale of the tensor, stored beside those of groups, or nil.
  private static func globalScale(_ tensor: CheckpointTensor) -> Float? {
    guard let codes = tensor.storage.codes, codes.scheme.grid.globalScale != nil, tensor.rowCount > 0 else { return nil }
    return codes.panel(rows: 0..<1, rowLength: tensor.rowLength).parameters.dropFirst().first
  }

  /// An 8-bit cache needs scales in every block: if one is missing, clients use 1 without a warning.
  static func caches(_ checkpoint: Checkpoint, _ model: ModelDescription) -> [Finding] {
    guard !checkpoint.activations.caches.isEmpty else { return [] }
    let missing = model.blocks.indices.filter { checkpoint.activations.caches[$0] == nil }
    guard let first = missing.first else { return [] }
    return [
      Finding(
        .error, "cache.scales-missing",
        "block \(first) has no scales of cached keys and values, but other blocks have them"
          + (missing.count == 1 ? "" : "; the same is true of \(missing.count - 1) more"))
    ]
  }
}
