public import QuantCore

/// A folder as its language model alone, for classes that have more or less than that: towers for images or sound, or no output matrix.
///
/// A family describes the view like a folder of its own class; the description then gets the names that are stored.
public struct LanguageModelView: Sendable {
  /// What the class of the language model alone would state.
  public var configuration: Configuration
  /// The checkpoint under the names that this class uses, without other parts.
  public let tensors: Checkpoint
  /// What the folder calls the tensors of the view.
  private let storedNames: [String: String]
  /// What precedes the names of blocks in the folder, where the view has `model.`
  private let prefix: String
  private let hasTowers: Bool

  /// Where classes keep parts that process something other than text. Each may be preceded by `model.`
  private static let otherParts = [
    "vision_tower.", "vision_model.", "visual.", "multi_modal_projector.", "image_tower.", "video_tower.", "audio_tower.", "image_newline",
    "connector.", "embed_vision.", "embed_audio.", "vision_embedder.",
  ]
  /// What a class calls its language model.
  private static let languageParts = ["language_model.", "text_model."]
  private static let otherPrefixes = otherParts + otherParts.map { "model." + $0 }

  /// - Parameters:
  ///   - configuration: of the folder; that of a GGUF, which holds the language model alone, is its own view.
  ///   - architecture: the class of the language model alone.
  public init(_ configuration: Configuration, _ tensors: Checkpoint, as architecture: String) {
    guard let json = configuration.json else {
      (self.configuration, self.tensors, storedNames, prefix, hasTowers) = (configuration, tensors, [:], "", false)
      return
    }
    var names: [String: String] = [:]
    var found: [CheckpointTensor] = []
    for tensor in tensors.tensors {
      guard let name = LanguageModelView.name(tensor.name) else { continue }
      names[name] = tensor.name
      found.append(CheckpointTensor(name: name, shape: tensor.shape, storage: tensor.storage))
    }
    let first = "model.layers.0."
    let stored = names.first { $0.key.hasPrefix(first) }.map { $0.value.dropLast($0.key.count - "model.".count) }
    (storedNames, prefix, hasTowers) = (names, stored.map { String($0) } ?? "", found.count < tensors.tensors.count)
    self.tensors = Checkpoint(
      path: tensors.path, format: tensors.format, tensors: found, naming: tensors.naming, configuration: nil, files: tensors.files)
    let ties = ConfigurationKeys(configuration, path: tensors.path).statedTie(
      output: self.tensors["lm_head.weight"], embedding: self.tensors["model.embed_tokens.weight"])
    self.configuration = .huggingFace(LanguageModelView.stated(json, architecture, ties))
  }

  /// What the view calls a tensor; nil if it belongs to another part.
  private static func name(_ stored: String) -> String? {
    if otherPrefixes.contains(where: { stored.hasPrefix($0) }) { return nil }
    let part = languageParts.first { stored.contains($0) } ?? ""
    let name = part.isEmpty ? stored : stored.replacing(part, with: "", maxReplacements: 1)
    return name.hasPrefix("model.") || name.hasPrefix("lm_head.") ? name : "model." + name
  }

  /// The object of the language model, with what its class and the object around it mean by tied embeddings.
  private static func stated(_ json: JSON, _ architecture: String, _ ties: Bool?) -> JSON {
    let stated = json["text_config"]?.objectValue ?? json.objectValue ?? []
    let members = stated.filter { !["architectures", "tie_word_embeddings"].contains($0.key) }
    return .object(
      [.init("architectures", .array([.string(architecture)]))] + members + (ties.map { [.init("tie_word_embeddings", .bool($0))] } ?? []))
  }

  /// States in the view that embeddings are tied.
  public mutating func tieEmbeddings() {
    let members = (configuration.json?.objectValue ?? []).filter { $0.key != "tie_word_embeddings" }
    configuration = .huggingFace(.object(members + [.init("tie_word_embeddings", .bool(true))]))
  }

  /// The description of the view with the names of the folder.
  public func restored(_ model: ModelDescription) -> ModelDescription {
    guard tensors.naming == .huggingFace else { return model }
    var model = model.replacingPlaces(.huggingFace) { place in
      var place = place
      place.name = storedNames[place.name] ?? (place.name.hasPrefix("model.") ? prefix + place.name.dropFirst(6) : place.name)
      return place
    }
    model.otherParts[.huggingFace, default: []] += LanguageModelView.otherPrefixes
    model.hasTowers = hasTowers
    return model
  }
}
