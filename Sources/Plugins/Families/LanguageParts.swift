import FamilyKit
public import QuantCore

/// Classes whose language model is that of another class, named in the table. A new one is a row.
///
/// The traps: the object `text_config` says which class it is; a class without an output matrix has names without `model.`, and only a
/// configuration that ties embeddings makes logits of its hidden states.
public enum LanguageParts: ModelFamily {
  /// Id of the family.
  public static let id = "language-parts"
  /// One sentence for lists.
  public static let summary = "The language models of classes for images or sound, and of classes without an output matrix"
  /// Documentation of the classes.
  public static let reference = "https://huggingface.co/docs/transformers"

  /// A class that computes a language model alone.
  private struct Text: Sendable {
    var architecture: String
    var family: any ModelFamily.Type
  }

  /// By the type of model that a configuration names.
  private static let texts: [String: Text] = [
    "llama": Text(architecture: "LlamaForCausalLM", family: Llama.self),
    "mistral": Text(architecture: "MistralForCausalLM", family: Mistral.self),
    "mixtral": Text(architecture: "MixtralForCausalLM", family: Mixtral.self),
    "qwen2": Text(architecture: "Qwen2ForCausalLM", family: Qwen2.self),
    "qwen3": Text(architecture: "Qwen3ForCausalLM", family: Qwen3.self),
    "qwen3_moe": Text(architecture: "Qwen3MoeForCausalLM", family: Qwen3MoE.self),
    "phi3": Text(architecture: "Phi3ForCausalLM", family: Phi3.self),
    "olmo2": Text(architecture: "Olmo2ForCausalLM", family: Olmo2.self),
    "gemma": Text(architecture: "GemmaForCausalLM", family: Gemma.self),
    "gemma2": Text(architecture: "Gemma2ForCausalLM", family: Gemma2.self),
    "gemma3_text": Text(architecture: "Gemma3ForCausalLM", family: Gemma3.self),
  ]
  /// Classes with towers for images or sound; their configurations name the type of the text model.
  private static let multimodal = [
    "LlavaForConditionalGeneration", "LlavaNextForConditionalGeneration", "LlavaOnevisionForConditionalGeneration",
    "LlavaNextVideoForConditionalGeneration", "VideoLlavaForConditionalGeneration", "VipLlavaForConditionalGeneration",
    "InternVLForConditionalGeneration", "Idefics3ForConditionalGeneration", "SmolVLMForConditionalGeneration",
    "GotOcr2ForConditionalGeneration", "Qwen2AudioForConditionalGeneration", "VoxtralForConditionalGeneration",
  ]
  /// Classes without an output matrix, by the type of model.
  private static let withoutOutput = [
    "LlamaModel": "llama", "MistralModel": "mistral", "MixtralModel": "mixtral", "Qwen2Model": "qwen2", "Qwen3Model": "qwen3",
    "Qwen3MoeModel": "qwen3_moe", "Phi3Model": "phi3", "Olmo2Model": "olmo2", "GemmaModel": "gemma", "Gemma2Model": "gemma2",
    "Gemma3TextModel": "gemma3_text",
  ]

  /// Names in `config.json`; a GGUF holds the language model under its own name.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? [] : multimodal + withoutOutput.keys.sorted()
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    if configuration.architecture == Gemma3.encoder, keys.json("use_bidirectional_attention")?.boolValue == true {
      return try Gemma3.describe(configuration, tensors: tensors)
    }
    let lacksOutput = configuration.architecture.flatMap { withoutOutput[$0] }
    // Llava's configurations name the type only if it is not Llama.
    let type = lacksOutput ?? keys.json("text_config")?["model_type"]?.stringValue ?? "llama"
    guard let text = texts[type] else {
      throw keys.unsupported("model.variant", "a language model of type '\(type)' is not supported in this class")
    }
    var view = LanguageModelView(configuration, tensors, as: text.architecture)
    var model = try text.family.describe(view.configuration, tensors: view.tensors)
    if lacksOutput != nil, !model.head.isTied {
      view.tieEmbeddings()
      model = try text.family.describe(view.configuration, tensors: view.tensors)
      model.head.isMissing = true
      model.cautions[.gguf, default: []].append(
        "the class has no output matrix: llama.cpp computes embeddings of texts, but its logits mean nothing")
    }
    if type == "gemma3_text", lacksOutput != nil {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = "llama.cpp takes a Gemma 3 without an output matrix for EmbeddingGemma, which attends to later tokens too"
    }
    return view.restored(model)
  }
}
