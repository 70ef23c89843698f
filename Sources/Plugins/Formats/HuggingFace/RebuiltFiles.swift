import QuantCore

/// The files that a folder has besides its weights, made from what a GGUF holds in their place.
enum RebuiltFiles {
  /// `config.json` without the type of its weights.
  /// - Throws: `Failure` `hf.from-gguf` if transformers has no class for the model.
  static func configuration(_ request: OutputRequest) throws(Failure) -> [JSON.Member] {
    guard let model = request.model, let json = model.configurations[HuggingFaceFormat.naming]?.json,
      let members = json.objectValue
    else {
      throw Failure(
        .unsupported, "hf.from-gguf", "no config.json can make transformers compute what this GGUF does", file: request.source.path,
        remedy: "Start from the original folder, or write a .gguf or .safetensors file.")
    }
    return members + (request.tokenizer?.specialIDs(forGeneration: false) ?? [])
  }

  /// Tokenizer and generation settings.
  /// - Throws: `Failure` `tokenizer.…`.
  static func companions(_ request: OutputRequest) throws(Failure) -> [OutputLayout.File] {
    guard let tokenizer = request.tokenizer else { return [] }
    var files = [file("generation_config.json", generation(request.generation, tokenizer))]
    files.append(file("tokenizer.json", try tokenizer.tokenizerJSON()))
    let length = request.model?.contextLength ?? 0
    files.append(file("tokenizer_config.json", tokenizer.tokenizerConfiguration(contextLength: length)))
    return files
  }

  private static func generation(_ stated: [JSON.Member], _ tokenizer: TokenizerData) -> JSON {
    var settings = stated
    // Without this, transformers takes the most probable token and warns about the other settings.
    if !settings.isEmpty { settings.insert(.init("do_sample", .bool(true)), at: 0) }
    return .object(tokenizer.specialIDs(forGeneration: true) + settings)
  }

  private static func file(_ name: String, _ json: JSON) -> OutputLayout.File {
    OutputLayout.File(name: name, text: json.text(pretty: true) + "\n")
  }
}
