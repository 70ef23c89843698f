import FamilyKit
public import QuantCore

/// T5, mT5, UMT5 and Flan-T5: an encoder and a decoder that reads its states, or the encoder alone. They are converted, but not computed.
///
/// The traps: the embedding may be stored under several names; the table of relative positions is in the first block of each side, in
/// UMT5 in every block; a GGUF states neither the largest distance nor the activation.
public enum T5: ModelFamily {
  /// Id of the family.
  public static let id = "t5-umt5"
  /// One sentence for lists.
  public static let summary = "T5, mT5, UMT5 and Flan-T5, with a decoder or the encoder alone: converted, not computed"
  /// Papers.
  public static let reference = "arXiv:1910.10683, arXiv:2010.11934, arXiv:2304.09151"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf
      ? ["t5", "t5encoder"]
      : [
        "T5ForConditionalGeneration", "T5WithLMHeadModel", "MT5ForConditionalGeneration", "UMT5ForConditionalGeneration", "UMT5Model",
        encoderClass,
      ]
  }

  private static let encoderClass = "T5EncoderModel"

  /// What was read from the configuration.
  private struct Facts {
    var numbers = DecoderNumbers()
    /// Blocks of the decoder; 0: there is none.
    var decoderBlocks = 0
    var buckets = 32
    var isGated = false
    /// The function of the feed-forward networks, as a `config.json` names it.
    var activation = "relu"
    /// Whether every block has a table of relative positions.
    var hasTables = false
    var start = 0
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let facts = try read(ConfigurationKeys(configuration, path: tensors.path), tensors)
    let n = facts.numbers, encoderBlocks = n.blockCount
    var all = n
    all.blockCount += facts.decoderBlocks
    let hasDecoder = facts.decoderBlocks > 0
    var decoder = Decoder(
      family: id, numbers: all, norm: n.rootMeanSquareNorm(hasDecoder ? .outputNorm : .encoderNorm)
    ) { block in
      [Branch(norm: nil, part(facts, isDecoder: block >= encoderBlocks, isFirst: block == 0 || block == encoderBlocks))]
    }
    decoder.names = outerNames(tensors)
    decoder.blockNames = { block in
      block < encoderBlocks
        ? names("encoder.block.\(block).", "enc.blk.\(block).", isDecoder: false, isGated: facts.isGated)
        : names(
          "decoder.block.\(block - encoderBlocks).", "dec.blk.\(block - encoderBlocks).", isDecoder: true, isGated: facts.isGated)
    }
    if hasDecoder {
      decoder.furtherTensors = [
        ModelTensor(
          id: TensorID(.encoderNorm), shape: [n.hiddenSize], kind: .norm,
          places: [
            .huggingFace: TensorPlace("encoder.final_layer_norm.weight", [n.hiddenSize]),
            .gguf: TensorPlace("enc.output_norm.weight", [n.hiddenSize]),
          ])
      ]
    } else {
      decoder.head = HeadDescription(norm: decoder.head.norm, pooling: .mean)
    }
    var model = try decoder.describe()
    model.uncomputed = hasDecoder ? "an encoder beside a decoder" : "an encoder with tables of relative positions"
    model.otherParts[.huggingFace] = ["encoder.embed_tokens.", "decoder.embed_tokens.", "shared."].filter {
      $0 + "weight" != model.tensors.first?.name(.huggingFace)
    }
    model.configurations[.gguf] = stored(facts)
    model.configurations[.huggingFace] = stated(facts)
    return model
  }

  // MARK: Tensors

  private static func part(_ facts: Facts, isDecoder: Bool, isFirst: Bool) -> UncomputedPart {
    let n = facts.numbers, inner = n.headCount * n.headSize, width = n.hiddenSize
    func attention(_ query: TensorRole, _ key: TensorRole, _ value: TensorRole, _ output: TensorRole, _ norm: TensorRole) -> [PartTensor] {
      [PartTensor(norm, [width], .norm)] + [query, key, value].map { PartTensor($0, [inner, width], .attention) }
        + [PartTensor(output, [width, inner], .attention)]
    }
    var tensors = attention(.query, .key, .value, .attentionOutput, .attentionNorm)
    if isFirst || facts.hasTables { tensors.append(PartTensor(.relativePositions, [facts.buckets, n.headCount], .relativePositions)) }
    if isDecoder {
      tensors += attention(.crossQuery, .crossKey, .crossValue, .crossOutput, .crossNorm)
      // Old checkpoints have one that nothing reads.
      tensors.append(PartTensor(.crossPositions, [facts.buckets, n.headCount], .relativePositions, isOptional: true))
    }
    tensors.append(PartTensor(.feedForwardNorm, [width], .norm))
    tensors += (facts.isGated ? [.gate, .up] : [.up]).map { PartTensor($0, [n.feedForwardSize, width], .feedForward) }
    return UncomputedPart(tensors + [PartTensor(.down, [width, n.feedForwardSize], .feedForward)])
  }

  private static func names(_ folder: String, _ gguf: String, isDecoder: Bool, isGated: Bool) -> TensorNames {
    func row(_ role: TensorRole, _ huggingFace: String, _ gguf: String) -> TensorName {
      TensorName(role, NamedPlace(huggingFace), NamedPlace(gguf))
    }
    let last = isDecoder ? "layer.2" : "layer.1"
    var rows = [
      row(.attentionNorm, "layer.0.layer_norm", "attn_norm"), row(.query, "layer.0.SelfAttention.q", "attn_q"),
      row(.key, "layer.0.SelfAttention.k", "attn_k"), row(.value, "layer.0.SelfAttention.v", "attn_v"),
      row(.attentionOutput, "layer.0.SelfAttention.o", "attn_o"),
      row(.relativePositions, "layer.0.SelfAttention.relative_attention_bias", "attn_rel_b"),
    ]
    if isDecoder {
      rows += [
        row(.crossNorm, "layer.1.layer_norm", "cross_attn_norm"), row(.crossQuery, "layer.1.EncDecAttention.q", "cross_attn_q"),
        row(.crossKey, "layer.1.EncDecAttention.k", "cross_attn_k"), row(.crossValue, "layer.1.EncDecAttention.v", "cross_attn_v"),
        row(.crossOutput, "layer.1.EncDecAttention.o", "cross_attn_o"),
        row(.crossPositions, "layer.1.EncDecAttention.relative_attention_bias", "cross_attn_rel_b"),
      ]
    }
    rows += [
      row(.feedForwardNorm, last + ".layer_norm", "ffn_norm"), row(.gate, last + ".DenseReluDense.wi_0", "ffn_gate"),
      row(.up, last + (isGated ? ".DenseReluDense.wi_1" : ".DenseReluDense.wi"), "ffn_up"),
      row(.down, last + ".DenseReluDense.wo", "ffn_down"),
    ]
    return TensorNames(
      front: [], block: rows, back: [], prefixes: [:], blockPrefixes: [.huggingFace: folder, .gguf: gguf])
  }

  private static func outerNames(_ tensors: Checkpoint) -> TensorNames {
    let embedding = ["shared", "encoder.embed_tokens", "decoder.embed_tokens"].first { tensors[$0 + ".weight"] != nil } ?? "shared"
    return TensorNames(
      front: [TensorName(.tokenEmbedding, NamedPlace(embedding), "token_embd")], block: [],
      back: [
        TensorName(.encoderNorm, "encoder.final_layer_norm", "enc.output_norm"),
        TensorName(.outputNorm, "decoder.final_layer_norm", "dec.output_norm"), TensorName(.output, "lm_head", "output"),
      ], prefixes: [:], blockPrefixes: [:])
  }

  // MARK: Numbers

  private static func read(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> Facts {
    var facts = Facts(), n = DecoderNumbers()
    n.hiddenSize = try keys.positiveSize("d_model", "embedding_length")
    n.blockCount = try keys.positiveSize("num_layers", "block_count")
    n.headCount = try keys.positiveSize("num_heads", "attention.head_count")
    n.keyValueHeadCount = n.headCount
    n.headSize = try keys.positiveSize("d_kv", "attention.key_length")
    n.feedForwardSize = try keys.positiveSize("d_ff", "feed_forward_length")
    n.contextLength = try keys.size("n_positions", "context_length") ?? 512
    n.normEpsilon = try keys.number("layer_norm_epsilon", "attention.layer_norm_rms_epsilon") ?? 1e-6
    n.vocabularySize = try keys.vocabularySize(
      ["shared.weight", "encoder.embed_tokens.weight", "token_embd.weight"].lazy.compactMap { tensors[$0] }.first)
    let isEncoder = [encoderClass, "t5encoder"].contains(keys.configuration.architecture)
    if !isEncoder { facts.decoderBlocks = try keys.size("num_decoder_layers", "decoder_block_count") ?? n.blockCount }
    guard n.blockCount + facts.decoderBlocks <= 4096 else {
      throw keys.bad(keys.name("num_decoder_layers", "decoder_block_count"), "is \(facts.decoderBlocks)")
    }
    facts.buckets = try keys.positiveSize("relative_attention_num_buckets", "attention.relative_buckets_count")
    n.tiesEmbeddings = isEncoder || tensors[keys.isStored ? "output.weight" : "lm_head.weight"] == nil
    if keys.isStored {
      facts.isGated = tensors["enc.blk.0.ffn_gate.weight"] != nil
      facts.activation = facts.isGated ? "gated-gelu" : "relu"
      facts.hasTables = n.blockCount > 1 && tensors["enc.blk.1.attn_rel_b.weight"] != nil
    } else {
      facts.activation = keys.json("feed_forward_proj")?.stringValue ?? "relu"
      facts.isGated = facts.activation.hasPrefix("gated-")
      facts.hasTables = keys.configuration.architecture?.hasPrefix("UMT5") ?? false
    }
    let start = keys.json("decoder_start_token_id") == nil ? "pad_token_id" : "decoder_start_token_id"
    facts.start = try keys.size(start, "decoder_start_token_id") ?? 0
    facts.numbers = n
    return facts
  }

  private static func stored(_ facts: Facts) -> Configuration {
    let n = facts.numbers, hasDecoder = facts.decoderBlocks > 0
    var stored = GGUFKeys(hasDecoder ? "t5" : "t5encoder")
    stored.set("context_length", n.contextLength)
    stored.set("embedding_length", n.hiddenSize)
    stored.set("feed_forward_length", n.feedForwardSize)
    stored.set("block_count", n.blockCount)
    if hasDecoder { stored.set("decoder_block_count", facts.decoderBlocks) }
    stored.set("attention.head_count", n.headCount)
    stored.set("attention.key_length", n.headSize)
    stored.set("attention.value_length", n.headSize)
    stored.set("attention.layer_norm_epsilon", n.normEpsilon)
    stored.set("attention.relative_buckets_count", facts.buckets)
    stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
    if hasDecoder { stored.set("decoder_start_token_id", facts.start) }
    stored.setFileType()
    return stored.configuration
  }

  private static func stated(_ facts: Facts) -> Configuration {
    let n = facts.numbers, hasDecoder = facts.decoderBlocks > 0
    let architecture = hasDecoder ? facts.hasTables ? "UMT5ForConditionalGeneration" : "T5ForConditionalGeneration" : encoderClass
    var stated = HuggingFaceKeys(architecture, modelType: hasDecoder && facts.hasTables ? "umt5" : "t5")
    stated.set("d_model", n.hiddenSize)
    stated.set("d_kv", n.headSize)
    stated.set("d_ff", n.feedForwardSize)
    stated.set("num_layers", n.blockCount)
    stated.set("num_decoder_layers", hasDecoder ? facts.decoderBlocks : n.blockCount)
    stated.set("num_heads", n.headCount)
    stated.set("relative_attention_num_buckets", facts.buckets)
    stated.set("relative_attention_max_distance", 128)
    stated.set("n_positions", n.contextLength)
    stated.set("vocab_size", n.vocabularySize)
    stated.set("layer_norm_epsilon", n.normEpsilon)
    stated.set("feed_forward_proj", .string(facts.activation))
    stated.set("decoder_start_token_id", facts.start)
    stated.set("is_encoder_decoder", hasDecoder)
    stated.set("tie_word_embeddings", n.tiesEmbeddings)
    return stated.configuration
  }
}

extension TensorRole {
  /// The norm after the last block of an encoder beside a decoder.
  fileprivate static let encoderNorm = TensorRole("encoderNorm")
  /// What is added to attention scores, for each range of distances and each head.
  fileprivate static let relativePositions = TensorRole("relativePositions")
  /// A decoder's attention to the states of the encoder.
  fileprivate static let crossNorm = TensorRole("crossNorm")
  fileprivate static let crossQuery = TensorRole("crossQuery")
  fileprivate static let crossKey = TensorRole("crossKey")
  fileprivate static let crossValue = TensorRole("crossValue")
  fileprivate static let crossOutput = TensorRole("crossOutput")
  fileprivate static let crossPositions = TensorRole("crossPositions")
}

extension TensorKind {
  /// Tables of what distances add to attention scores.
  fileprivate static let relativePositions = TensorKind("position tables", isWeight: false)
}
