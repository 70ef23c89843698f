import FamilyKit
import QuantCore

/// What the first two generations of Gemma have in common.
struct GemmaFacts: Sendable {
  var numbers: DecoderNumbers
  var rope: Rope
  var activation: Activation
  var hasBiases: Bool

  /// - Parameter activationKey: the key of the activation in a `config.json`.
  init(_ keys: ConfigurationKeys, _ tensors: Checkpoint, activationKey: String, generation: Int) throws(Failure) {
    var n = try keys.decoderNumbers(defaultKeyValueHeads: generation == 1 ? 16 : 4, defaultHeadSize: 256, tensors: tensors)
    n.tiesEmbeddings = try keys.tiesEmbeddings(default: true, tensors, embedding: "model.embed_tokens.weight")
    n.vocabularySize = try keys.vocabularySize(tensors["model.embed_tokens.weight"] ?? tensors["token_embd.weight"])
    numbers = n
    rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    activation = try keys.activation(activationKey, default: "gelu_pytorch_tanh")
    if activation == .relu { throw keys.unsupported("model.activation", "the activation 'relu' is not supported") }
    hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    try keys.refuse("use_bidirectional_attention", when: true, "bidirectional attention is not supported")
  }

  /// Llama's names, with gains that a folder stores minus 1.
  /// - Parameter hasOutputNorms: whether there are norms after both branches.
  static func names(hasOutputNorms: Bool) -> TensorNames {
    func norm(_ role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace) -> TensorName {
      TensorName(role, huggingFace.storing(.plus(1)), gguf)
    }
    var names = TensorNames.llama
    names.rename(
      norm(.attentionNorm, "input_layernorm", "attn_norm"),
      norm(.feedForwardNorm, hasOutputNorms ? "pre_feedforward_layernorm" : "post_attention_layernorm", "ffn_norm"))
    if hasOutputNorms {
      names.insert(norm(.attentionOutputNorm, "post_attention_layernorm", "post_attention_norm"), after: .attentionOutput)
      names.insert(norm(.feedForwardOutputNorm, "post_feedforward_layernorm", "post_ffw_norm"), after: .down)
    }
    names.back[0] = norm(.outputNorm, "norm", "output_norm")
    return names
  }

  /// Why llama.cpp does not compute this model; nil: it does.
  func obstacle(_ architecture: String) -> String? {
    if !numbers.tiesEmbeddings { return "llama.cpp ties the output of '\(architecture)' to the embedding, but this model does not" }
    if hasBiases { return "llama.cpp has no bias of the attention's output in '\(architecture)', but this model has one" }
    if rope != Rope(theta: 10_000, dimension: numbers.headSize) {
      return "a GGUF of '\(architecture)' has the rotary base 10000 without scaling, but this model has another"
    }
    return nil
  }

  /// What llama.cpp computes a little differently.
  func cautions(_ architecture: String) -> [String] {
    if activation == .geluTanh { return [] }
    return [
      "the configuration states the exact form of GELU, and llama.cpp has the tanh form in '\(architecture)': it computes logits that "
        + "differ a little from the folder's, and so does the evaluation of the GGUF"
    ]
  }

  /// The keys of a GGUF, in the order in which the converter of these two writes them.
  func storedKeys(_ architecture: String) -> GGUFKeys {
    let n = numbers
    var keys = GGUFKeys(architecture)
    keys.set("context_length", n.contextLength)
    keys.set("embedding_length", n.hiddenSize)
    keys.set("block_count", n.blockCount)
    keys.setCommon(n, rope: nil, statesHeadSize: true)
    return keys
  }
}
