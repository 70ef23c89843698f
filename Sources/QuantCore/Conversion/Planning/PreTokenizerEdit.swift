/// A GGUF that becomes another keeps its tokenizer, and gets the name of the pre-tokenizer that was given.
struct PreTokenizerEdit {
  private let request: ConversionRequest
  private let source: Checkpoint
  private let target: Target

  init(_ request: ConversionRequest, source: Checkpoint, target: Target) {
    self.request = request
    self.source = source
    self.target = target
  }

  /// - Throws: `Failure` `tokenizer.pre-unused` where the tokenizer has none.
  func edits(_ warnings: inout [String]) throws(Failure) -> [MetadataEdit] {
    guard target.naming == .gguf, source.naming == .gguf else { return [] }
    let splitsText = source.metadata["tokenizer.ggml.model"]?.stringValue == "gpt2"
    guard let name = request.preTokenizer else {
      if splitsText, source.metadata[TokenizerData.preTokenizerKey] == nil {
        warnings.append(
          "the file does not name its pre-tokenizer, so that llama.cpp falls back to its default, which may give other tokens than "
            + "the model was trained on; --pre NAME adds the name")
      }
      return []
    }
    guard splitsText else { throw Tokenizers.unusedPreTokenizer(file: source.path) }
    if !Tokenizers.knows(preTokenizer: name) {
      warnings.append("the pre-tokenizer '\(name)' is not known here; its name is written as it was given")
    }
    return [MetadataEdit(key: TokenizerData.preTokenizerKey, value: .string(name))]
  }
}
