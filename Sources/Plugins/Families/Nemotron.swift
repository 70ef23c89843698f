import FamilyKit
public import QuantCore

/// Nemotron 3 and 4, Minitron: layer norms, a part of each head rotated, and a feed-forward network without a gate that squares the
/// positive part.
///
/// The trap: a folder stores `w` for gains of `1 + w`, a GGUF the gains.
public enum Nemotron: ModelFamily {
  /// Id of the family.
  public static let id = "nemotron"
  /// One sentence for lists.
  public static let summary = "Nemotron and Minitron, not the hybrid models"
  /// Paper.
  public static let reference = "arXiv:2402.16819"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["nemotron"] : ["NemotronForCausalLM"] }

  private static let names: TensorNames = {
    func norm(_ role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace) -> TensorName {
      TensorName(role, huggingFace.storing(.plus(1)), gguf)
    }
    var names = TensorNames.llama
    names.rename(
      norm(.attentionNorm, "input_layernorm", "attn_norm"), norm(.feedForwardNorm, "post_attention_layernorm", "ffn_norm"))
    names.back[0] = norm(.outputNorm, "norm", "output_norm")
    return names
  }()
  /// What the class of transformers assumes for the part of a head that is rotated.
  private static let share = 0.5

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    try keys.refuseActivations(otherThan: "relu2")
    var read = try keys.decoderNumbers(defaultNormEpsilon: 1e-5, tensors: tensors)
    read.normEpsilon = try keys.number("norm_eps", "attention.layer_norm_epsilon") ?? 1e-5
    read.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    read.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    let n = read
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil, mayBePartial: true, defaultShare: share)
    guard rope.scaling == .none else {
      throw keys.unsupported("model.rope-scaling", "transformers does not scale the rotary embedding of this class")
    }
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_output.bias", tensors)
    let hasFeedForwardBiases = keys.hasBiases("mlp_bias", stored: "blk.0.ffn_up.bias", tensors)
    let branches = [
      Branch(norm: n.layerNorm(.attentionNorm), n.attention(rope: rope)),
      Branch(norm: n.layerNorm(.feedForwardNorm), n.feedForward(.squaredRelu, isGated: false)),
    ]
    var decoder = Decoder(family: id, numbers: n, norm: n.layerNorm(.outputNorm)) { _ in branches }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases || $0.kind == .feedForward && hasFeedForwardBiases ? .always : .never }
    var model = try decoder.describe()

    model.obstacles[.gguf] = n.obstacle("nemotron", rope: rope, needsOutput: true)
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("nemotron")
      // The converter writes the epsilon under both keys.
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.set("vocab_size", n.vocabularySize)
      stored.set("attention.layer_norm_epsilon", n.normEpsilon)
      stored.set("rope.dimension_count", rope.dimension)
      stored.set("rope.scaling.type", .string("none"))
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("NemotronForCausalLM", modelType: "nemotron")
    if stated.setCommon(
      n, rope: rope, activation: "relu2", normEpsilon: "norm_eps", statesHeadSize: n.statesHeadSize || !n.headsFillWidth)
    {
      if rope.dimension == n.headSize { stated.set("partial_rotary_factor", 1) }
      stated.set("attention_bias", hasBiases)
      stated.set("mlp_bias", hasFeedForwardBiases)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
