import FamilyKit
public import QuantCore

/// Mamba-2: state-space layers alone, without attention and feed-forward networks.
///
/// The trap: transformers normalises the result of a layer over all channels together, llama.cpp and the original over each group. Only
/// models with one group mean the same to both.
public enum Mamba2Model: ModelFamily {
  /// Id of the family.
  public static let id = "mamba2"
  /// One sentence for lists.
  public static let summary = "Mamba-2, state-space layers alone"
  /// Paper.
  public static let reference = "arXiv:2405.21060"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["mamba2"] : ["Mamba2ForCausalLM"] }

  private static let keys = Mamba2Keys(
    heads: "num_heads", headSize: "head_dim", groups: "n_groups", stateSize: "state_size", kernelSize: "conv_kernel",
    convolutionBias: "use_conv_bias", bias: "use_bias")

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    try keys.refuseActivations(otherThan: "silu")
    var n = DecoderNumbers()
    n.hiddenSize = try keys.positiveSize("hidden_size", "embedding_length")
    n.blockCount = try keys.positiveSize("num_hidden_layers", "block_count")
    try keys.check(blockCount: n.blockCount, in: tensors)
    n.contextLength = 1 << 20
    n.normEpsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_rms_epsilon") ?? 1e-5
    let embedding = "backbone.embeddings.weight"
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: embedding)
    n.vocabularySize = try keys.vocabularySize(tensors[embedding] ?? tensors["token_embd.weight"])
    let hasBiases = keys.json(Mamba2Model.keys.bias)?.boolValue ?? false
    let part = try keys.mamba2(
      Mamba2Model.keys,
      defaults: Mamba2(
        width: n.hiddenSize, headCount: 128, headSize: 64, stateSize: 128, groupCount: 8, kernelSize: 4,
        norm: n.rootMeanSquareNorm(.mixerNorm)),
      innerSize: try keys.size("expand", "").map { $0 * n.hiddenSize }, tensors: tensors)
    let numbers = n
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [Branch(norm: numbers.rootMeanSquareNorm(.attentionNorm), part)]
    }
    decoder.names = names(part)
    decoder.bias = { hasBiases && $0.kind == .mixer ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases of linear layers in 'mamba2', but this model has them"
    } else {
      var stored = GGUFKeys("mamba2")
      stored.order = [
        "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "block_count", "ssm.conv_kernel",
        "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank",
      ]
      stored.set("context_length", n.contextLength)
      stored.set("embedding_length", n.hiddenSize)
      stored.set("feed_forward_length", 0)
      stored.set("attention.head_count", 0)
      stored.set("block_count", n.blockCount)
      stored.setMamba2(part)
      stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
      stored.setFileType()
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Mamba2ForCausalLM", modelType: "mamba2")
    stated.set("hidden_size", n.hiddenSize)
    stated.set("num_hidden_layers", n.blockCount)
    stated.set("vocab_size", n.vocabularySize)
    stated.set("layer_norm_epsilon", n.normEpsilon)
    stated.set("tie_word_embeddings", n.tiesEmbeddings)
    stated.setMamba2(part, Mamba2Model.keys, hasBiases: hasBiases)
    if part.innerSize.isMultiple(of: n.hiddenSize) {
      stated.set("expand", part.innerSize / n.hiddenSize)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }

  private static func names(_ part: Mamba2) -> TensorNames {
    var names = TensorNames(
      front: [TensorName(.tokenEmbedding, "embeddings", "token_embd")], block: [TensorName(.attentionNorm, "norm", "attn_norm")],
      back: [TensorName(.outputNorm, "norm_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
      prefixes: [.huggingFace: "backbone."])
    names.insertMamba2(part, module: "mixer", after: .attentionNorm)
    return names
  }
}
