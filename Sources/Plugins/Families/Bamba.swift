import FamilyKit
public import QuantCore

/// Bamba: Mamba-2 in most blocks and an attention in the others, half of whose heads is rotated.
///
/// The trap: llama.cpp's converter rearranges rows as if whole heads were rotated, so its GGUFs give other logits. There is none here.
public enum Bamba: ModelFamily {
  /// Id of the family.
  public static let id = "bamba"
  /// One sentence for lists.
  public static let summary = "Bamba, Mamba-2 and attention"
  /// Description.
  public static let reference = "https://huggingface.co/blog/bamba"

  /// Names in `config.json`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? [] : ["BambaForCausalLM"] }

  private static func names(_ mixer: Mamba2) -> TensorNames {
    var names = TensorNames.llama
    names.rename(
      TensorName(.feedForwardNorm, "pre_ff_layernorm", nil), TensorName(.gate, "feed_forward.gate_proj", nil),
      TensorName(.up, "feed_forward.up_proj", nil), TensorName(.down, "feed_forward.down_proj", nil))
    names.back[0] = TensorName(.outputNorm, "final_layernorm", nil)
    names.insertMamba2(mixer, module: "mamba", after: .attentionNorm)
    return names
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 8, epsilon: 1e-5, tensors: tensors)
    // transformers sets the share itself; a configuration may state it in channels.
    let rotated = try keys.size("attn_rotary_emb", "").map { Double($0) / Double(n.headSize) }
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil, mayBePartial: true, defaultShare: rotated ?? 0.5)
    let listed = keys.json("attn_layer_indices")?.arrayValue?.compactMap(\.intValue) ?? []
    let attends = try keys.attentionBlocks(n.blockCount, key: "layers_block_type", others: ["mamba", "linear_attention"]) {
      listed.contains($0)
    }
    for key in ["mamba_proj_bias", "attention_bias", "mlp_bias"] {
      try keys.refuse(key, when: true, "biases of linear layers are not supported")
    }
    let expand = keys.json("mamba_expand") == nil ? 2 : try keys.positiveSize("mamba_expand", "")
    let mixer = try keys.mamba2(
      .hybrid,
      defaults: Mamba2(
        width: n.hiddenSize, headCount: 128, headSize: 64, stateSize: 256, groupCount: 1, kernelSize: 4,
        norm: n.rootMeanSquareNorm(.mixerNorm)),
      innerSize: expand * n.hiddenSize, tensors: tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let first: any Part = attends[block] ? n.attention(rope: rope) : mixer
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), first), Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.names = names(mixer)
    var model = try decoder.describe()
    model.obstacles[.gguf] = "llama.cpp's converter rearranges the rows of 'BambaForCausalLM' wrongly, so there is no GGUF that means it"
    var stated = HuggingFaceKeys("BambaForCausalLM", modelType: "bamba")
    guard stated.setCommon(n, rope: rope, statesHeadSize: false) else { return model }
    stated.setMamba2(mixer, .hybrid, hasBiases: false)
    stated.set("mamba_expand", expand)
    stated.set("attn_layer_indices", .array(attends.indices.filter { attends[$0] }.map { .int($0) }))
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
