public import QuantCore

/// Which of two objects says whether the embedding is the output matrix, where a language model is a part of a class.
///
/// Sources: the configurations and `_tied_weights_keys` of the classes in transformers 5.24.
private enum EmbeddingTies {
  /// Classes that tie unless their own object says otherwise.
  static let tying: Set = [
    "Gemma3ForConditionalGeneration", "Gemma3nForConditionalGeneration", "Gemma4ForConditionalGeneration",
    "GotOcr2ForConditionalGeneration", "InternVLForConditionalGeneration", "Mistral3ForConditionalGeneration",
  ]
  /// Classes that also tie if only the object of the language model says so.
  static let either: Set = [
    "LlavaForConditionalGeneration", "LlavaNextVideoForConditionalGeneration", "LlavaOnevisionForConditionalGeneration",
    "Qwen2VLForConditionalGeneration", "Qwen2_5_VLForConditionalGeneration",
  ]
  /// Classes that hold a whole class of a language model, which reads its own object.
  static let inner: Set = [
    "Llama4ForConditionalGeneration", "Qwen2AudioForConditionalGeneration", "VoxtralForConditionalGeneration",
  ]
}

extension ConfigurationKeys {
  /// What a `config.json` says, in the reading of its class, about whether the embedding is the output matrix; nil: what the class of the
  /// language model assumes.
  ///
  /// The trap: both the object of the model and its `text_config` have the key, and published folders contradict themselves. An output
  /// matrix that is stored and differs from the embedding is then used: a class does not tie the two if it finds both.
  public func statedTie(output: CheckpointTensor?, embedding: CheckpointTensor?) -> Bool? {
    func said(_ keys: ConfigurationKeys) -> Bool? { keys.json("tie_word_embeddings")?.boolValue }
    let text = nested("text_config")
    guard json("text_config")?.objectValue != nil, let architecture = configuration.architecture else { return said(text) }
    let (outer, inner) = (said(self), said(text))
    let ties: Bool? =
      if EmbeddingTies.inner.contains(architecture) || (EmbeddingTies.either.contains(architecture) && outer != true) { inner } else {
        outer ?? EmbeddingTies.tying.contains(architecture)
      }
    guard ties == true, outer == false || inner == false || (outer ?? inner) == nil else { return ties }
    guard let output, let embedding, !output.hasSameContent(as: embedding) else { return true }
    return false
  }
}
