import FamilyKit
public import QuantCore

/// BERT, and what shares its graph: RoBERTa, XLM-RoBERTa, CamemBERT, DistilBERT. Every token sees all others; norms follow the residual
/// additions; positions are learned; all tokens have the first type.
///
/// The traps: positions of RoBERTa begin after the padding token's, and a GGUF has no rows for those before; DistilBERT has no types and
/// other names; norms of old checkpoints are called gamma and beta. Heads above the encoder (pooler, classifier, predictions of masked
/// tokens) are not quantized, and a GGUF has no place for them.
public enum Bert: ModelFamily {
  /// Id of the family.
  public static let id = "bert"
  /// One sentence for lists.
  public static let summary = "BERT, RoBERTa, XLM-RoBERTa, CamemBERT and DistilBERT: encoders, judged by their vectors"
  /// Paper.
  public static let reference = "arXiv:1810.04805"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["bert"] : Kind.allCases.flatMap { kind in kind.heads.map { kind.rawValue + $0 } }
  }

  /// Models that differ in their names and positions, by the beginning of their classes' names.
  private enum Kind: String, CaseIterable {
    case bert = "Bert"
    case roberta = "Roberta"
    case xlmRoberta = "XLMRoberta"
    case camembert = "Camembert"
    case distilBert = "DistilBert"

    var heads: [String] { ["Model", "ForMaskedLM", "ForSequenceClassification"] + (self == .bert ? ["ForPreTraining"] : []) }
    /// Prefixes of names in a folder.
    var prefixes: [String] {
      switch self {
      case .bert: ["", "bert."]
      case .distilBert: ["", "distilbert."]
      case .roberta, .xlmRoberta, .camembert: ["", "roberta."]
      }
    }
    var hasOffset: Bool { self != .bert && self != .distilBert }

    init(_ architecture: String?) { self = Kind.allCases.first { (architecture ?? "").hasPrefix($0.rawValue) } ?? .bert }
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    // Without types, a GGUF is a DistilBERT, whatever it was before.
    let kind = !keys.isStored ? Kind(configuration.architecture) : tensors["token_types.weight"] == nil ? .distilBert : .bert
    let isDistilled = kind == .distilBert
    let epsilon = isDistilled && !keys.isStored ? 1e-12 : try keys.number("layer_norm_eps", "attention.layer_norm_epsilon") ?? 1e-12
    var n = try keys.layerNormNumbers(
      hidden: isDistilled ? ["dim", "hidden_size"] : ["hidden_size"], blocks: isDistilled ? ["n_layers"] : ["num_hidden_layers"],
      heads: isDistilled ? ["n_heads"] : ["num_attention_heads"], epsilon: epsilon, tensors: tensors)
    n.feedForwardSize = try keys.positiveSize(isDistilled ? "hidden_dim" : "intermediate_size", "feed_forward_length")
    let unused = kind.hasOffset ? (try keys.size("pad_token_id", "") ?? 1) + 1 : 0
    n.contextLength = try keys.positiveSize("max_position_embeddings", "context_length") - unused
    guard n.contextLength > 0 else { throw keys.bad("max_position_embeddings", "leaves no position after that of the padding token") }
    try refuse(keys)
    let stated = try keys.pooling(tensors)
    var variant = LayerNormDecoder.Variant()
    variant.pooling = stated ?? .mean
    variant.positionOffset = 0
    variant.tokenTypes = isDistilled ? nil : try types(keys, tensors)
    variant.hasNormsOverSums = true
    variant.normalisesEmbedding = true
    variant.hasOutputNorm = false
    variant.activation = try keys.activation(isDistilled ? "activation" : "hidden_act", default: "gelu")
    let prefix = kind.prefixes.first { tensors[$0 + "embeddings.word_embeddings.weight"] != nil } ?? ""
    n.vocabularySize = try keys.vocabularySize(tensors[prefix + "embeddings.word_embeddings.weight"] ?? tensors["token_embd.weight"])

    var decoder = LayerNormDecoder(
      family: id, ggufArchitecture: "bert", prefixes: kind.prefixes,
      names: names(isDistilled, unused, isOld: tensors[prefix + "embeddings.LayerNorm.gamma"] != nil))
    decoder.statesKeyValueHeads = false
    if isDistilled { decoder.keyOrder = ["attention.layer_norm_epsilon"] }
    let types = variant.tokenTypes ?? 1
    decoder.finish = { stored in
      stored.setEncoder(stated)
      stored.setTokenTypes(types)
    }
    var model = try decoder.describe(n, variant, tensors: tensors)
    if variant.activation != .gelu {
      model.configurations[.gguf] = nil
      model.obstacles[.gguf] = "llama.cpp has another activation in 'bert' than this model"
    }
    model.otherParts[.huggingFace] = ["", prefix].flatMap { start in
      ["pooler.", "cls.", "lm_head.", "classifier.", "pre_classifier.", "vocab_", "embeddings.position_ids"].map { start + $0 }
    }
    model.otherParts[.gguf] = ["cls."]
    model.configurations[.huggingFace] = written(n, variant)
    return model
  }

  private static func types(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Int? {
    if keys.isStored { return tensors["token_types.weight"]?.shape.first }
    return try keys.size("type_vocab_size", "") ?? 2
  }

  private static func refuse(_ keys: ConfigurationKeys) throws(Failure) {
    if let kind = keys.json("position_embedding_type")?.stringValue, kind != "absolute" {
      throw keys.unsupported("model.variant", "positions of kind '\(kind)' are not supported")
    }
    try keys.refuse("is_decoder", when: true, "BERT as a decoder is not supported")
    try keys.refuse("add_cross_attention", when: true, "cross-attention is not supported")
  }

  private static func names(_ isDistilled: Bool, _ unused: Int, isOld: Bool) -> TensorNames {
    func norm(_ role: TensorRole, _ name: String, _ gguf: NamedPlace) -> TensorName {
      TensorName(role, isOld ? NamedPlace(name).named(suffix: ".gamma", biasSuffix: ".beta") : NamedPlace(name), gguf)
    }
    let front = [
      TensorName(.tokenEmbedding, "embeddings.word_embeddings", "token_embd"),
      TensorName(.positionEmbedding, NamedPlace("embeddings.position_embeddings").after(rows: unused), "position_embd"),
      TensorName(.tokenTypeEmbedding, "embeddings.token_type_embeddings", "token_types"),
      norm(.embeddingNorm, "embeddings.LayerNorm", "token_embd_norm"),
    ]
    let block =
      isDistilled
      ? [
        TensorName(.query, "attention.q_lin", "attn_q"), TensorName(.key, "attention.k_lin", "attn_k"),
        TensorName(.value, "attention.v_lin", "attn_v"), TensorName(.attentionOutput, "attention.out_lin", "attn_output"),
        norm(.attentionNorm, "sa_layer_norm", "attn_output_norm"), TensorName(.up, "ffn.lin1", "ffn_up"),
        TensorName(.down, "ffn.lin2", "ffn_down"), norm(.feedForwardNorm, "output_layer_norm", "layer_output_norm"),
      ]
      : [
        TensorName(.query, "attention.self.query", "attn_q"), TensorName(.key, "attention.self.key", "attn_k"),
        TensorName(.value, "attention.self.value", "attn_v"), TensorName(.attentionOutput, "attention.output.dense", "attn_output"),
        norm(.attentionNorm, "attention.output.LayerNorm", "attn_output_norm"), TensorName(.up, "intermediate.dense", "ffn_up"),
        TensorName(.down, "output.dense", "ffn_down"), norm(.feedForwardNorm, "output.LayerNorm", "layer_output_norm"),
      ]
    return TensorNames(
      front: front, block: block, back: [],
      blockPrefixes: [.huggingFace: isDistilled ? "transformer.layer.*." : "encoder.layer.*.", .gguf: "blk.*."])
  }

  /// For the folder of a GGUF: a RoBERTa is a BERT there. Nil for a DistilBERT with an epsilon of its own.
  private static func written(_ n: DecoderNumbers, _ variant: LayerNormDecoder.Variant) -> Configuration? {
    guard let types = variant.tokenTypes else {
      guard Float(n.normEpsilon) == 1e-12 else { return nil }
      var keys = HuggingFaceKeys("DistilBertModel", modelType: "distilbert")
      keys.set("activation", .string("gelu"))
      keys.set("dim", n.hiddenSize)
      keys.set("hidden_dim", n.feedForwardSize)
      keys.set("n_layers", n.blockCount)
      keys.set("n_heads", n.headCount)
      keys.set("max_position_embeddings", n.contextLength)
      keys.set("vocab_size", n.vocabularySize)
      return keys.configuration
    }
    var keys = HuggingFaceKeys("BertModel", modelType: "bert")
    keys.set("hidden_act", .string("gelu"))
    keys.set("hidden_size", n.hiddenSize)
    keys.set("intermediate_size", n.feedForwardSize)
    keys.set("num_hidden_layers", n.blockCount)
    keys.set("num_attention_heads", n.headCount)
    keys.set("max_position_embeddings", n.contextLength)
    keys.set("type_vocab_size", types)
    keys.set("vocab_size", n.vocabularySize)
    keys.set("layer_norm_eps", n.normEpsilon)
    keys.set("position_embedding_type", .string("absolute"))
    return keys.configuration
  }
}
