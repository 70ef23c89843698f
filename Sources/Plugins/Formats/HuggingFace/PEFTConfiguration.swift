import QuantCore

/// `adapter_config.json`: how low-rank matrices change a model.
struct PEFTConfiguration {
  /// A rank or alpha for some layers, by a pattern of their names.
  private struct Exception {
    var pattern: String
    var value: Double
    var regex: NamePattern?

    init(_ member: JSON.Member) throws(Failure) {
      pattern = member.key
      guard let value = member.value.doubleValue else { throw PEFTConfiguration.bad(member.key, "is not a number") }
      self.value = value
      let isName = pattern.utf8.allSatisfy { byte in
        UnicodeScalar(byte).properties.isAlphabetic || (0x30...0x39).contains(byte) || [0x2d, 0x2e, 0x5f].contains(byte)
      }
      guard !isName else { return }
      guard let regex = NamePattern("(.*\\.)?(\(pattern))$") else { throw PEFTConfiguration.bad(pattern, "is not a regular expression") }
      self.regex = regex
    }

    func matches(_ module: String) -> Bool { regex?.matches(module) ?? (module == pattern || module.hasSuffix("." + pattern)) }
  }

  /// Switches under which the change is more than adding a product to the weight, with what they mean.
  private static let unsupported: [(key: String, what: String)] = [
    ("use_dora", "weights split into magnitude and direction (DoRA)"), ("use_qalora", "products of pooled inputs (QA-LoRA)"),
    ("use_bdlora", "block-diagonal matrices"), ("kasa_config", "singular values of the weights (KaSA)"),
    ("alora_invocation_tokens", "a change that takes effect in the middle of a text (activated LoRA)"),
    ("arrow_config", "a choice among adapters for each token (Arrow)"), ("layer_replication", "repeated layers"),
    ("target_parameters", "parameters of a layer by their own names ('target_parameters')"),
    ("trainable_token_indices", "single rows of the embedding ('trainable_token_indices')"),
    ("lora_bias", "biases in the low-rank matrices"),
  ]
  /// Initializations that leave the model's weights alone. The others subtract their product from them.
  private static let harmlessStarts: Set<String> = ["gaussian", "eva", "orthogonal"]

  private let alpha: Double
  private let rank: Int
  private let isRankStabilized: Bool
  private let isTransposed: Bool
  private let ranks: [Exception]
  private let alphas: [Exception]
  private let baseModel: String?

  /// - Throws: `Failure` `adapter.kind` if it cannot be merged, `adapter.config` if it is malformed.
  init(_ json: JSON) throws(Failure) {
    let type = json["peft_type"]?.stringValue ?? "(none)"
    guard type == "LORA" else { throw PEFTConfiguration.refused("it is of type '\(type)', and only LORA is supported") }
    for (key, what) in PEFTConfiguration.unsupported {
      guard let value = json[key] else { continue }
      let isOff = value.isNull || value == .bool(false) || value.arrayValue?.isEmpty == true || value.objectValue?.isEmpty == true
      if !isOff { throw PEFTConfiguration.refused("it has \(what)") }
    }
    if let start = json["init_lora_weights"]?.stringValue, !PEFTConfiguration.harmlessStarts.contains(start) {
      throw Failure(
        .unsupported, "adapter.kind",
        "the adapter belongs to weights that its initialization changed ('init_lora_weights' is '\(start)')",
        remedy: "Save it with PEFT's path_initial_model_for_weight_conversion, which makes it fit the original model.")
    }
    guard let rank = json["r"]?.intValue, rank > 0 else { throw PEFTConfiguration.bad("r", "is not a positive integer") }
    guard let alpha = json["lora_alpha"]?.doubleValue else { throw PEFTConfiguration.bad("lora_alpha", "is not a number") }
    self.rank = rank
    self.alpha = alpha
    isRankStabilized = json["use_rslora"]?.boolValue ?? false
    isTransposed = json["fan_in_fan_out"]?.boolValue ?? false
    ranks = try (json["rank_pattern"]?.objectValue ?? []).map { (member) throws(Failure) in try Exception(member) }
    alphas = try (json["alpha_pattern"]?.objectValue ?? []).map { (member) throws(Failure) in try Exception(member) }
    try NamePattern.check((ranks + alphas).compactMap(\.regex))
    baseModel = json["base_model_name_or_path"]?.stringValue
  }

  private static func refused(_ reason: String) -> Failure {
    Failure(
      .unsupported, "adapter.kind", "the adapter cannot be merged: \(reason)",
      remedy: "Merge it with PEFT's merge_and_unload, and convert the merged model.")
  }

  private static func bad(_ key: String, _ what: String) -> Failure {
    Failure(.data, "adapter.config", "'\(key)' in the adapter's configuration \(what)", remedy: "Fetch the adapter again.")
  }

  // MARK: Tensors

  /// The two matrices of a layer, as they are found.
  private struct Pair {
    var module: String
    var isEmbedding: Bool
    var a: CheckpointTensor?
    var b: CheckpointTensor?
  }

  /// How names end: A and B, for linear layers and for embeddings.
  private static let endings: [(ending: String, isEmbedding: Bool, isA: Bool)] = [
    (".lora_A.weight", false, true), (".lora_B.weight", false, false), (".lora_embedding_A", true, true),
    (".lora_embedding_B", true, false),
  ]

  /// The adapter that these tensors make up.
  /// - Throws: `Failure` `adapter.…` if they contradict the configuration or each other, or are unknown.
  func adapter(_ tensors: [CheckpointTensor]) throws(Failure) -> LowRankAdapter {
    var pairs: [Pair] = []
    var positions: [String: Int] = [:]
    var replacements: [CheckpointTensor] = []
    for tensor in tensors {
      let name = tensor.name.hasPrefix(PEFTFormat.prefix) ? String(tensor.name.dropFirst(PEFTFormat.prefix.count)) : tensor.name
      guard let kind = PEFTConfiguration.endings.first(where: { name.hasSuffix($0.ending) }) else {
        if let whole = try replacement(tensor, name) { replacements.append(whole) }
        continue
      }
      let module = String(name.dropLast(kind.ending.count))
      let position = positions[module] ?? pairs.count
      if position == pairs.count { pairs.append(Pair(module: module, isEmbedding: kind.isEmbedding)) }
      positions[module] = position
      if kind.isA { pairs[position].a = tensor } else { pairs[position].b = tensor }
    }
    guard !pairs.isEmpty || !replacements.isEmpty else {
      throw Failure(.data, "adapter.empty", "the adapter holds no tensors", remedy: "Fetch the adapter again.")
    }
    return LowRankAdapter(
      naming: HuggingFaceFormat.naming, updates: try pairs.map { (pair) throws(Failure) in try update(pair) }, replacements: replacements,
      alpha: alpha, baseModel: baseModel)
  }

  /// A tensor that replaces one of the model's, or nil for a copy of the model's own.
  private func replacement(_ tensor: CheckpointTensor, _ name: String) throws(Failure) -> CheckpointTensor? {
    guard !name.contains("lora_"), !name.contains("token_adapter.") else {
      throw Failure(
        .unsupported, "adapter.part", "is not a known part of an adapter", tensor: tensor.name,
        remedy: "Merge it with PEFT's merge_and_unload, and convert the merged model.")
    }
    // The library also saves a copy of the embeddings that it changes, as they were before.
    if name.hasSuffix(".base_layer.weight") { return nil }
    let own = name.replacing(".base_layer.", with: ".").replacing(".modules_to_save.", with: ".")
    return CheckpointTensor(name: own, shape: tensor.shape, storage: tensor.storage)
  }

  private func update(_ pair: Pair) throws(Failure) -> LowRankUpdate {
    guard let a = pair.a, let b = pair.b else {
      throw Failure(
        .data, "adapter.pair", "one of the two matrices of this layer is missing", tensor: pair.module, remedy: "Fetch the adapter again.")
    }
    for tensor in [a, b] where tensor.shape.count != 2 || !tensor.storage.isNumeric || tensor.shape.contains(0) {
      throw Failure(
        .unsupported, "adapter.dimensions", "has shape \(tensor.shape) and type \(tensor.storage.schemeName); only matrices can be merged",
        tensor: tensor.name)
    }
    guard a.shape[0] == b.shape[1] else {
      throw Failure(
        .data, "adapter.shape", "has shape \(b.shape), but its partner has \(a.shape): their ranks differ", tensor: b.name)
    }
    let rank = ranks.first { $0.matches(pair.module) }?.value ?? Double(self.rank)
    guard rank == Double(a.shape[0]) else {
      throw Failure(
        .data, "adapter.rank", "has rank \(a.shape[0]), but the configuration says \(rank)", tensor: a.name,
        remedy: "Give the configuration and the matrices of the same adapter.")
    }
    let alpha = alphas.first { $0.matches(pair.module) }?.value ?? self.alpha
    let scale = alpha / (isRankStabilized ? rank.squareRoot() : rank)
    let first = ThinMatrix(a, ranksFirst: true), second = ThinMatrix(b, ranksFirst: false)
    return pair.isEmbedding
      ? LowRankUpdate(target: pair.module + ".weight", outputs: first, inputs: second, scale: scale, isEmbedding: true)
      : LowRankUpdate(target: pair.module + ".weight", outputs: second, inputs: first, scale: scale, isTransposed: isTransposed)
  }
}
