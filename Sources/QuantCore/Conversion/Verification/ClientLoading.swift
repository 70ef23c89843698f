/// Whether clients load a checkpoint as it is stored, and compute with all of its layers.
public enum ClientLoading {
  /// Why a client would not, or nil if nothing is known that would keep it from it.
  public static func obstacle(
    of client: any ClientProfile.Type, version: ClientVersion, to checkpoint: Checkpoint, _ model: ModelDescription?
  ) -> ClientObstacle? {
    guard client.formats.contains(checkpoint.format) else {
      return ClientObstacle(
        "does not load format '\(checkpoint.format)'", remedy: "Write one of: \(client.formats.joined(separator: ", ")).")
    }
    guard let packing = packing(of: checkpoint) else {
      guard let method = checkpoint.quantization else { return nil }
      return ClientObstacle("does not read weights quantized with \(method)", remedy: "Choose another scheme.")
    }
    guard client.packings.contains(packing) else {
      return ClientObstacle(
        "does not read packing '\(packing)'", remedy: "Give \(setting: "packing") one of: \(client.packings.joined(separator: ", ")).")
    }
    let folder = layers(of: checkpoint, packing, model)
    return folder.quantized.lazy.compactMap { client.obstacle($0, version: version) }.first ?? client.obstacle(folder, version: version)
  }

  /// What a client needs to be told to load a checkpoint, or nil.
  public static func caution(
    of client: any ClientProfile.Type, version: ClientVersion, to checkpoint: Checkpoint, _ model: ModelDescription?
  ) -> String? {
    packing(of: checkpoint).flatMap { client.caution(layers(of: checkpoint, $0, model), version: version) }
  }

  /// Id of the packing of the quantized tensors. What no packing unpacked is stored as only its format does, under whose name clients know it.
  static func packing(of checkpoint: Checkpoint) -> String? {
    let isQuantized = checkpoint.tensors.contains { $0.storage.isNumeric && $0.storage.elementType == nil }
    return checkpoint.packing ?? (isQuantized ? checkpoint.format : nil)
  }

  private static func layers(of checkpoint: Checkpoint, _ packing: String, _ model: ModelDescription?) -> ClientFolder {
    let ids = Dictionary((model?.tensors ?? []).compactMap { tensor in tensor.name(checkpoint.naming).map { ($0, tensor.id) } }) { $1 }
    var folder = ClientFolder(checkpoint.configuration)
    folder.cache = checkpoint.activations.caches.values.first?.scheme
    for tensor in checkpoint.tensors {
      let inputs = checkpoint.activations.inputs[QuantizedModule.name(ofWeight: tensor.name)]?.scheme
      folder.add(
        tensor.name, shape: tensor.shape, id: ids[tensor.name], tensor.storage.codes.map { (packing, $0.scheme.grid, inputs) }, model: model
      )
    }
    return folder
  }
}
