import QuantCore

/// The key-value pairs of an output.
enum GGUFMetadata {
  /// The version of the block layouts: 2 since May 2023.
  private static let quantizationVersion: UInt32 = 2
  /// The key of the number of the type that most weights have.
  private static let fileTypeKey = "general.file_type"

  /// For a GGUF, its own pairs in their order, updated for the quantization; otherwise what llama.cpp's converter would write
  /// for the model, in its order; then the user's edits.
  /// - Throws: `Failure` if llama.cpp does not support the model or its tokenizer, or for an edit that clients would
  ///   reject.
  static func keyValues(_ request: OutputRequest) throws -> KeyValues {
    var values: KeyValues
    if request.source.format == GGUFFormat.id {
      values = request.source.metadata
      // The output has the default alignment and is not split.
      for key in ["general.alignment", "split.no", "split.count", "split.tensors.count"] { values[key] = nil }
    } else {
      values = try converted(request)
    }
    stateQuantization(request, &values)
    try GGUFMetadataEdits.apply(request, to: &values)
    if request.source.format != GGUFFormat.id { try check(values, request) }
    return values
  }

  /// Refuses an output that llama.cpp would not load, or abort with.
  private static func check(_ values: KeyValues, _ request: OutputRequest) throws(Failure) {
    guard request.source.adapter == nil else { return }
    if let finding = GGUFTokenizerFindings.all(values).first {
      throw Failure(
        .unsupported, finding.id, finding.message, file: request.source.path,
        remedy: "Write a Hugging Face folder instead, or give another tokenizer with \(setting: "tokenizer").")
    }
    guard let architecture = values["general.architecture"]?.stringValue, let length = values["\(architecture).context_length"] else {
      return
    }
    guard length.intValue == 0 else { return }
    throw Failure(
      .data, "gguf.context-length", "its configuration does not say how long a text may be, which llama.cpp needs",
      file: request.source.path,
      remedy: "Give \(setting: "set-meta") \(architecture).context_length=u32:LENGTH.")
  }

  /// States how the weights are stored and where they come from. If a GGUF's tensors are all copied, it states that already.
  private static func stateQuantization(_ request: OutputRequest, _ values: inout KeyValues) {
    if request.source.format == GGUFFormat.id, request.tensors.allSatisfy({ $0.isCopy }) { return }
    if let number = fileType(request) { values[fileTypeKey] = .u32(number) }
    values["general.quantization_version"] = .u32(quantizationVersion)
    for (key, value) in request.provenance {
      values[key.hasPrefix("qconvert.") ? key : "qconvert." + key] = .string(value)
    }
  }

  private static func converted(_ request: OutputRequest) throws -> KeyValues {
    guard let model = request.model, let stated = model.configurations[GGUFFormat.naming]?.keyValues,
      let architecture = model.architecture(GGUFFormat.naming)
    else {
      throw Failure(
        .unsupported, "gg.architecture", "has an architecture that llama.cpp or qconvert does not support",
        file: request.source.path, remedy: "Write a Hugging Face folder instead.")
    }
    if let adapter = request.source.adapter {
      var values = GGUFAdapter.keyValues(adapter, architecture: architecture)
      GeneralMetadata.add(to: &values, request)
      return values
    }
    if model.isOfTowers { return ofTowers(request, stated, architecture) }
    guard let tokenizer = request.tokenizer else {
      throw Failure(
        .noInput, "gg.tokenizer", "has no tokenizer, but a GGUF must contain one", file: request.source.path,
        remedy: "Give the tokenizer's folder with \(setting: "tokenizer").")
    }
    var values = KeyValues()
    values["general.architecture"] = .string(architecture)
    values["general.type"] = .string("model")
    GeneralMetadata.add(to: &values, request)
    for (key, value) in stated.entries where key != "general.architecture" && key != TokenizerMetadata.spacePrefixKey {
      if case .string(let token) = value, key.hasSuffix("_token_id") {
        // A token's text for its id.
        values[key] = tokenizer.tokens.firstIndex(of: token).map { .u32(UInt32($0)) }
      } else {
        values[key] = key == fileTypeKey ? .u32(fileType(request) ?? 0) : value
      }
    }
    values["general.quantization_version"] = .u32(quantizationVersion)
    try TokenizerMetadata.add(
      to: &values, tokenizer, statesSpacePrefix: stated[TokenizerMetadata.spacePrefixKey] != nil,
      model: stated[TokenizerData.modelKey]?.stringValue, vocabularySize: model.vocabularySize, path: request.source.path)
    return values
  }

  /// Towers have no tokenizer: they are loaded beside the file of their language model.
  private static func ofTowers(_ request: OutputRequest, _ stated: KeyValues, _ architecture: String) -> KeyValues {
    var values = KeyValues()
    values["general.architecture"] = .string(architecture)
    values["general.type"] = .string("mmproj")
    GeneralMetadata.add(to: &values, request)
    for (key, value) in stated.entries where key != "general.architecture" {
      values[key] = key == fileTypeKey ? .u32(fileType(request) ?? 0) : value
    }
    values["general.quantization_version"] = .u32(quantizationVersion)
    return values
  }

  /// llama.cpp's number of the preset or, for a plain scheme, of the type that most weights have. Experts that were MXFP4 already make
  /// it the number for experts in MXFP4, however large the embedding is.
  private static func fileType(_ request: OutputRequest) -> UInt32? {
    if let number = GGUFMixes.fileType(preset: request.presetName) { return number }
    let hasMovedExperts = request.tensors.contains { $0.repacking != nil && $0.id?.expert != nil && $0.scheme.name == "mxfp4" }
    if hasMovedExperts { return GGUFMixes.fileType(preset: "mxfp4_moe") }
    var weights: [String: Int] = [:]
    for tensor in request.tensors { weights[tensor.scheme.name, default: 0] += tensor.shape.reduce(1, *) }
    let most = weights.max { ($0.value, $1.key) < ($1.value, $0.key) }
    return most.flatMap { GGUFMixes.fileType(preset: $0.key) }
  }
}
