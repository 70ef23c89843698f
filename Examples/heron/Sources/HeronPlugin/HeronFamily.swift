import FamilyKit
public import QuantCore

/// Heron: Llama with two differences. Some blocks have no rotary embedding, and a folder stores the gains of norms minus 1.
public enum HeronFamily: ModelFamily {
  public static let id = "heron"
  public static let summary = "Heron, a decoder like Llama in which some blocks have no rotary embedding."
  public static let reference = "the paper or model card that describes it"

  /// The class of transformers that computes the model, and what llama.cpp calls the architecture.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["heron"] : ["HeronForCausalLM"] }

  /// Llama's names. The norms of a folder hold `gain - 1`; those of a GGUF hold the gain.
  private static let names: TensorNames = {
    var names = TensorNames.llama
    names.rename(
      TensorName(.attentionNorm, NamedPlace("input_layernorm").storing(.plus(1)), "attn_norm"),
      TensorName(.feedForwardNorm, NamedPlace("post_attention_layernorm").storing(.plus(1)), "ffn_norm"))
    names.back[0] = TensorName(.outputNorm, NamedPlace("norm").storing(.plus(1)), "output_norm")
    return names
  }()

  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    // Every number is read by its key in a config.json and its key in a GGUF.
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var n = try keys.decoderNumbers(tensors: tensors)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: false, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    // What the family does not compute is refused.
    try keys.refuseActivations(otherThan: "silu")
    let numbers = n
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    let interval = try keys.size("no_rope_interval", "attention.no_rope_interval") ?? 4
    guard interval > 0 else { throw keys.bad(keys.name("no_rope_interval", "attention.no_rope_interval"), "is 0") }

    // What a block is made of, by its number.
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block throws(Failure) in
      let hasRope = !(block + 1).isMultiple(of: interval)
      return [
        Branch(norm: numbers.rootMeanSquareNorm(.attentionNorm), numbers.attention(rope: hasRope ? rope : nil)),
        Branch(norm: numbers.rootMeanSquareNorm(.feedForwardNorm), numbers.feedForward(.silu)),
      ]
    }
    decoder.names = names
    var model = try decoder.describe()

    // What a GGUF and a config.json say of this model. Without one of them, that format cannot be written.
    var stored = GGUFKeys("heron")
    stored.setCommon(n, rope: rope, statesHeadSize: true)
    stored.set("attention.no_rope_interval", interval)
    model.configurations[.gguf] = stored.configuration
    var stated = HuggingFaceKeys("HeronForCausalLM", modelType: "heron")
    if stated.setCommon(n, rope: rope, statesHeadSize: true) {
      stated.set("no_rope_interval", interval)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
