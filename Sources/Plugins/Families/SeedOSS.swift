import FamilyKit
public import QuantCore

/// Seed-OSS: Llama with biases of queries, keys and values.
///
/// The trap: two keys say which layers of the attention have biases, and the class assumes the first; a GGUF calls the second norm
/// by another name than Llama's.
public enum SeedOSS: ModelFamily {
  /// Id of the family.
  public static let id = "seed-oss"
  /// One sentence for lists.
  public static let summary = "Seed-OSS, Llama with biases of queries, keys and values"
  /// Model card.
  public static let reference = "https://github.com/ByteDance-Seed/seed-oss"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["seed_oss"] : ["SeedOssForCausalLM"] }

  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(TensorName(.feedForwardNorm, "post_attention_layernorm", "post_attention_norm"))
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(keyValueHeads: 8, headSize: 128, tensors: tensors)
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    let inner = keys.hasBiases("attention_bias", default: true, stored: "blk.0.attn_q.bias", tensors)
    let outer = keys.hasBiases("attention_out_bias", stored: "blk.0.attn_output.bias", tensors)
    let feedForward = keys.hasBiases("mlp_bias", stored: "blk.0.ffn_up.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: rope)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.names = names
    decoder.bias = { tensor in
      let hasBias = tensor.kind == .feedForward ? feedForward : tensor.role == .attentionOutput ? outer : inner
      return hasBias && tensor.kind != .norm ? .always : .never
    }
    var model = try decoder.describe()

    if outer || feedForward {
      model.obstacles[.gguf] = "llama.cpp has biases of queries, keys and values only in 'seed_oss', but this model has others"
    } else if let obstacle = rope.obstacle("seed_oss") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("seed_oss")
      stored.setCommon(n, rope: rope, statesHeadSize: true)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("SeedOssForCausalLM", modelType: "seed_oss")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return model }
    stated.set("attention_bias", inner)
    stated.set("attention_out_bias", outer)
    stated.set("mlp_bias", feedForward)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
