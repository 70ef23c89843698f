import QuantCore

/// The files that a folder has beside its weights, made from what a GGUF holds instead of them.
enum RebuiltFiles {
  /// `config.json` without the type of its weights.
  /// - Throws: `Failure` `hf.from-gguf` where transformers has no class for the model.
  static func configuration(_ request: OutputRequest) throws(Failure) -> [JSON.Member] {
    guard let model = request.model, case .huggingFace(let json)? = model.configurations[.huggingFace],
      let members = json.objectValue
    else {
      throw Failure(
        .unsupported, "hf.from-gguf", "no config.json makes transformers compute what this GGUF does", file: request.source.path,
        remedy: "Start from the original folder, or write a .gguf or .safetensors file.")
    }
    return members + (request.tokenizer?.specialIDs(forGeneration: false) ?? [])
  }

  /// Tokenizer and generation settings.
  /// - Throws: `Failure` `tokenizer.…`.
  static func companions(_ request: OutputRequest) throws(Failure) -> [OutputLayout.File] {
    guard let tokenizer = request.tokenizer else { return [] }
    var files = [file("generation_config.json", generation(request.source.metadata, tokenizer))]
    files.append(file("tokenizer.json", try tokenizer.tokenizerJSON()))
    let length = request.model?.contextLength ?? 0
    files.append(file("tokenizer_config.json", tokenizer.tokenizerConfiguration(contextLength: length)))
    return files
  }

  private static func generation(_ metadata: KeyValues, _ tokenizer: TokenizerData) -> JSON {
    var settings: [JSON.Member] = []
    for key in GenerationSettings.keys {
      guard let name = key.transformers, let value = metadata[GenerationSettings.prefix + key.gguf]?.doubleValue else { continue }
      settings.append(.init(name, key.isInteger ? Int(exactly: value).map { .int($0) } ?? .null : .shortest(value)))
    }
    // Without this, transformers takes the most probable token and warns of the other settings.
    if !settings.isEmpty { settings.insert(.init("do_sample", .bool(true)), at: 0) }
    return .object(tokenizer.specialIDs(forGeneration: true) + settings)
  }

  private static func file(_ name: String, _ json: JSON) -> OutputLayout.File {
    OutputLayout.File(name: name, text: json.text(pretty: true) + "\n")
  }
}
