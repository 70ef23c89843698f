extension Checkpoint {
  /// The model with adapters merged into what its weights mean. Packed weights are decoded, added to, and available as floats only.
  /// - Throws: `Failure` `adapter.…` if one does not belong to the model.
  public func merging(_ adapters: [AdapterRequest], _ opening: Opening) throws -> Checkpoint {
    if adapters.isEmpty { return self }
    return try AdapterMerge(adapters, opening: opening).merged(into: self, model: try? opening.describe(self))
  }
}

/// Adapters that are merged into the weights of an opened model.
struct AdapterMerge {
  /// One adapter with the factor that its scale is multiplied by.
  struct Part {
    let checkpoint: Checkpoint
    let adapter: LowRankAdapter
    let factor: Double
    /// Name, factor and hash, as outputs record them.
    let record: String
  }

  let parts: [Part]

  /// Opens adapters.
  /// - Throws: `Failure` `adapter.…`, and what opening throws.
  init(_ requests: [AdapterRequest], opening: Opening) throws {
    parts = try requests.map { request in
      let checkpoint = try AdapterMerge.open(request.path, opening)
      guard let adapter = checkpoint.adapter else {
        throw Failure(
          .usage, "adapter.none", "holds no adapter", file: request.path,
          remedy: "Give \(opening.registry.outputs { $0.contents.contains(.adapter) }) that holds an adapter.")
      }
      if request.factor != 1, let whole = adapter.replacements.first {
        throw Failure(
          .unsupported, "adapter.factor", "the adapter replaces this tensor, and a replacement cannot be scaled by \(request.factor)",
          file: request.path, tensor: whole.name, remedy: "Merge this adapter with its own scale.")
      }
      return Part(
        checkpoint: checkpoint, adapter: adapter, factor: request.factor,
        record: "\(Files.lastComponent(request.path)) scale \(request.factor) xxh3-128 \(try Fingerprint.of(files: checkpoint.files))")
    }
  }

  /// What a user must know of tokenizers that adapters come with and the output does not get.
  func cautions(besides source: Checkpoint) -> [String] {
    parts.compactMap { part in
      let folder = part.checkpoint.companionFolder ?? part.checkpoint.path
      let differs = AdapterMerge.tokenizerFiles.first { name in
        guard let own = try? Files.read(Files.join(folder, name), maximumBytes: AdapterMerge.maximumBytes) else { return false }
        let base = source.companionFolder.flatMap { try? Files.read(Files.join($0, name), maximumBytes: AdapterMerge.maximumBytes) }
        return own != base
      }
      return differs.map {
        "the adapter comes with a \($0) of its own, which the output does not get unless it is named as the tokenizer: \(folder)"
      }
    }
  }

  private static let tokenizerFiles = ["tokenizer.json", "tokenizer.model", "vocab.json", "added_tokens.json", "chat_template.jinja"]
  private static let maximumBytes = 256 << 20

  /// Opens an adapter, which may lie in the folder of a model.
  private static func open(_ path: String, _ opening: Opening) throws -> Checkpoint {
    let opened = try opening.open(path)
    if opened.adapter != nil { return opened }
    let formats = opening.registry.formats.filter { $0.contents.contains(.adapter) && $0.isFolder == Files.isFolder(path) }
    return formats.lazy.compactMap { try? opening.open(path, format: $0.id) }.first { $0.adapter != nil } ?? opened
  }

  /// Whether names must be translated for this model.
  func needsFamily(for source: Checkpoint) -> Bool { parts.contains { $0.adapter.naming != source.naming } }

  /// The model with all adapters merged: tensors that they change are available as floats only.
  /// - Throws: `Failure` `adapter.…` if an adapter does not belong to the model.
  func merged(into source: Checkpoint, model: ModelDescription?) throws(Failure) -> Checkpoint {
    var updates: [String: [LowRankUpdate]] = [:]
    var replacements: [String: CheckpointTensor] = [:]
    for part in parts {
      let mapping = AdapterMapping(base: source, model: model, target: source.naming, file: part.checkpoint.path)
      let adapter = try mapping(part.adapter)
      for var update in adapter.updates {
        update.scale *= part.factor
        updates[update.target, default: []].append(update)
      }
      for tensor in adapter.replacements {
        try check(tensor, in: source, model: model, file: part.checkpoint.path)
        guard replacements.updateValue(tensor, forKey: tensor.name) == nil else {
          throw Failure(
            .unsupported, "adapter.twice", "two adapters replace this tensor", file: part.checkpoint.path, tensor: tensor.name,
            remedy: "Leave one of them out.")
        }
      }
    }
    var result = source
    let ranks = DecodedRanks()
    result.replaceStorage { tensor in
      let storage = replacements[tensor.name]?.storage ?? tensor.storage
      return updates[tensor.name].map { MergedStorage(original: storage, updates: $0, ranks: ranks) } ?? storage
    }
    for part in parts {
      result.files += part.checkpoint.files
      result.mappings += part.checkpoint.mappings
    }
    return result
  }

  private func check(_ tensor: CheckpointTensor, in source: Checkpoint, model: ModelDescription?, file: String) throws(Failure) {
    let shape = source[tensor.name]?.shape ?? []
    guard shape == tensor.shape, tensor.storage.isNumeric else {
      throw Failure(
        .data, "adapter.shape", "the adapter replaces this tensor with one of shape \(tensor.shape), but the model's has shape \(shape)",
        file: file, tensor: tensor.name,
        remedy: "Give the model that the adapter was made for; if tokens were added, resize and save that model first.")
    }
    let id = model?.tensors.first { $0.name(source.naming) == tensor.name }?.id
    guard model?.head.isTied == true, id?.role == .tokenEmbedding else { return }
    throw AdapterMapping.tied(tensor.name, file: file)
  }
}
