import FamilyKit
public import QuantCore

/// Llama 4, the language model: most blocks rotate neighbouring channels and attend within chunks of the text; every fourth has neither
/// positions nor chunks, and queries that grow with their position. One expert, beside a shared one, reads what its weight multiplied.
///
/// The traps: norms of queries and keys have no gains, come after the rotation, and only where there is one; a block without experts is
/// wider (`intermediate_size_mlp`); a folder stacks the experts, transposed, gate and up in one tensor; the range between the two
/// frequencies of the rotary scaling is empty.
public enum Llama4: ModelFamily {
  /// Id of the family.
  public static let id = "llama4"
  /// One sentence for lists.
  public static let summary = "Llama 4; only the language model"
  /// Announcement.
  public static let reference = "https://ai.meta.com/blog/llama-4-multimodal-intelligence/"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["llama4"] : ["Llama4ForCausalLM", "Llama4ForConditionalGeneration"]
  }

  /// Prefix of the language model in folders that different classes and versions saved.
  private static let prefixes = ["model.", "language_model.model.", "model.language_model."]

  private static let names: TensorNames = {
    func stack(_ name: String, of matrix: String) -> NamedPlace {
      NamedPlace("feed_forward.experts." + name).named(suffix: "").transposed.apart("feed_forward.experts.*." + matrix)
    }
    var names = TensorNames.llama
    names.rename(
      TensorName(.gate, "feed_forward.gate_proj", "ffn_gate"), TensorName(.up, "feed_forward.up_proj", "ffn_up"),
      TensorName(.down, "feed_forward.down_proj", "ffn_down"), TensorName(.router, "feed_forward.router", "ffn_gate_inp"),
      TensorName(expert: .gate, stack("gate_up_proj", of: "gate_proj"), "ffn_gate_exps"),
      TensorName(expert: .up, stack("gate_up_proj", of: "up_proj"), "ffn_up_exps"),
      TensorName(expert: .down, stack("down_proj", of: "down_proj"), "ffn_down_exps"))
    names.insertRouted(correction: nil, shared: "feed_forward.shared_expert")
    return names
  }()

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let whole = ConfigurationKeys(configuration, path: tensors.path)
    let keys = whole.nested("text_config")
    var names = names
    names.choosePrefix(prefixes, in: tensors)
    names.chooseExperts(in: tensors)
    if names.prefixes[.huggingFace] == prefixes[1] { names.back[1].places[.huggingFace] = .outside("language_model.lm_head") }
    var n = try keys.decoderNumbers(defaultKeyValueHeads: 8, defaultHeadSize: 128, defaultNormEpsilon: 1e-5, tensors: tensors)
    let embedding = tensors[names.name(.tokenEmbedding, keys.isStored ? .gguf : .huggingFace) ?? ""]
    n.vocabularySize = try keys.vocabularySize(embedding)
    n.tiesEmbeddings = try whole.tiesEmbeddings(
      default: false, tensors, output: names.name(.output, .huggingFace) ?? "", embedding: embedding?.name ?? "")
    n.feedForwardSize = try keys.positiveSize("intermediate_size_mlp", "feed_forward_length")
    try keys.refuseActivations(otherThan: "silu")
    let blocks = try Llama4Blocks(keys, n, factors: tensors[RopeFactors.name])
    let hasBiases = keys.hasBiases("attention_bias", stored: "blk.0.attn_q.bias", tensors)
    let numbers = n
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      [
        Branch(norm: numbers.rootMeanSquareNorm(.attentionNorm), blocks.attention(block, numbers)),
        Branch(norm: numbers.rootMeanSquareNorm(.feedForwardNorm), blocks.feedForward(block, numbers)),
      ]
    }
    decoder.names = names
    decoder.bias = { $0.kind == .attention && hasBiases ? .always : .never }
    decoder.tabulatedRope = blocks.rope
    var model = try decoder.describe()
    model.otherParts[.huggingFace] = ["vision_model.", "multi_modal_projector.", "model.vision_model.", "model.multi_modal_projector."]

    let obstacle = hasBiases ? "llama.cpp has no bias of the attention's output in 'llama4', but this model has one" : blocks.obstacle()
    model.obstacles[.gguf] = obstacle
    if obstacle == nil {
      var stored = GGUFKeys("llama4")
      stored.setCommon(n, rope: blocks.rope, experts: blocks.experts, statesHeadSize: true)
      stored.set("vocab_size", n.vocabularySize)
      stored.set("rope.dimension_count", n.headSize)
      stored.set("interleave_moe_layer_step", blocks.interval ?? 1)
      stored.set("expert_feed_forward_length", blocks.innerSize)
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Llama4ForCausalLM", modelType: "llama4_text")
    guard stated.setCommon(n, rope: blocks.rope, statesHeadSize: true) else { return model }
    stated.set("attention_bias", hasBiases)
    blocks.state(&stated, n)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}

/// How the blocks of a Llama 4 differ.
private struct Llama4Blocks: Sendable {
  let rope: Rope
  let experts: (count: Int, used: Int)
  let innerSize: Int
  /// For each block, whether it rotates, attends within chunks, and has experts.
  private let isRotated: [Bool]
  private let isChunked: [Bool]
  private let isMixed: [Bool]
  private let chunk: Int?
  private let temperature: Attention.Temperature?
  private let normalisesHeads: Bool

  /// What llama.cpp takes for granted: the length of chunks and of the steps of the temperature, its scale, the blocks without rotation,
  /// and the number of experts of the model that does not normalize heads.
  private static let knownChunk = 8192
  private static let knownTemperature = Attention.Temperature(scale: Double(Float(0.1)), length: 8192, offset: 1)
  private static let knownPeriod = 4
  private static let expertsWithoutNorms = 128

  init(_ keys: ConfigurationKeys, _ n: DecoderNumbers, factors: CheckpointTensor?) throws(Failure) {
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 500_000, factors: factors)
    rope.pairs = .neighbours
    self.rope = rope
    experts = try keys.experts(count: "num_local_experts", blocks: n.blockCount)
    innerSize = try keys.positiveSize("intermediate_size", "expert_feed_forward_length")
    let step = try keys.size("interleave_moe_layer_step", "interleave_moe_layer_step") ?? 1
    guard step > 0 else { throw keys.bad(keys.name("interleave_moe_layer_step", "interleave_moe_layer_step"), "is 0") }
    let listed = keys.json("moe_layers")?.arrayValue.map { Set($0.compactMap(\.intValue)) }
    isMixed = (0..<n.blockCount).map { listed?.contains($0) ?? ($0 + 1).isMultiple(of: step) }
    if keys.isStored {
      if keys.metadata("attention.sliding_window") != nil || keys.metadata("attention.sliding_window_pattern") != nil {
        throw keys.unsupported("model.variant", "chunks of another length or in other blocks are not supported in a GGUF")
      }
      (isRotated, chunk) = ((0..<n.blockCount).map { !($0 + 1).isMultiple(of: Self.knownPeriod) }, Self.knownChunk)
      (isChunked, temperature) = (isRotated, Self.knownTemperature)
      normalisesHeads = experts.count != Self.expertsWithoutNorms
      return
    }
    let period = try keys.size("no_rope_layer_interval", "") ?? Self.knownPeriod
    guard period > 0 else { throw keys.bad("no_rope_layer_interval", "is 0") }
    let rotated = keys.json("no_rope_layers")?.arrayValue.flatMap { $0.isEmpty ? nil : $0 }
    isRotated = (0..<n.blockCount).map { block in
      guard let rotated else { return !(block + 1).isMultiple(of: period) }
      return block < rotated.count && (rotated[block].intValue == 1 || rotated[block].boolValue == true)
    }
    let hasChunks = keys.configuration.json?["attention_chunk_size"].map { !$0.isNull } ?? true
    let chunk = hasChunks ? try keys.size("attention_chunk_size", "") ?? Self.knownChunk : nil
    if chunk == 0 { throw keys.bad("attention_chunk_size", "is 0") }
    self.chunk = chunk
    if let kinds = keys.json("layer_types")?.arrayValue {
      guard kinds.count == n.blockCount else { throw keys.bad("layer_types", "has \(kinds.count) values for \(n.blockCount) blocks") }
      isChunked = kinds.map { $0.stringValue == "chunked_attention" }
    } else {
      isChunked = isRotated.map { $0 && chunk != nil }
    }
    // Old configurations state a number.
    let tunes = keys.json("attn_temperature_tuning").map { $0.boolValue ?? ($0.intValue != 0) } ?? true
    let length = try keys.number("floor_scale", "") ?? 8192
    temperature =
      tunes ? Attention.Temperature(scale: try keys.number("attn_scale", "") ?? 0.1, length: max(1, Int(length)), offset: 1) : nil
    normalisesHeads = keys.json("use_qk_norm")?.boolValue ?? true
  }

  func attention(_ block: Int, _ n: DecoderNumbers) -> Attention {
    var attention = n.attention(rope: isRotated[block] ? rope : nil)
    attention.chunk = isChunked[block] ? chunk : nil
    attention.temperature = isRotated[block] ? nil : temperature
    if normalisesHeads, isRotated[block] {
      attention.queryNorm = Norm(.queryNorm, .rootMeanSquare, epsilon: n.normEpsilon, hasGain: false)
      attention.keyNorm = attention.queryNorm?.with(.keyNorm)
      attention.rotatesBeforeNorms = true
    }
    return attention
  }

  func feedForward(_ block: Int, _ n: DecoderNumbers) -> any Part {
    guard isMixed[block] else { return n.feedForward() }
    var routing = ExpertRouting(expertsPerToken: experts.used, weights: .sigmoid)
    routing.weighsInput = true
    let expert = n.feedForward(innerSize: innerSize)
    return MixtureOfExperts(expert, expertCount: experts.count, routing: routing, shared: expert)
  }

  /// Every how many blocks there are experts; nil: not regularly.
  var interval: Int? {
    guard let first = isMixed.firstIndex(of: true) else { return nil }
    return isMixed.indices.allSatisfy { isMixed[$0] == ($0 + 1).isMultiple(of: first + 1) } ? first + 1 : nil
  }

  /// Why llama.cpp would compute something else; nil: it does not.
  func obstacle() -> String? {
    let usual = isRotated.indices.map { !($0 + 1).isMultiple(of: Self.knownPeriod) }
    if isRotated != usual || isChunked != usual || chunk != Self.knownChunk {
      return "llama.cpp assumes that every fourth block of 'llama4' has no rotary embedding, and that the others attend within chunks of "
        + "\(Self.knownChunk) tokens"
    }
    if temperature?.length != Self.knownTemperature.length || temperature.map({ Float($0.scale) }) != Float(0.1) {
      return "llama.cpp assumes 'attn_temperature_tuning' in 'llama4' with an 'attn_scale' of 0.1 and a 'floor_scale' of 8192"
    }
    if normalisesHeads == (experts.count == Self.expertsWithoutNorms) {
      return "llama.cpp assumes that models of 'llama4' with \(Self.expertsWithoutNorms) experts, and only these, do not normalize heads"
    }
    return interval == nil ? "llama.cpp knows only experts in every n-th block of 'llama4'" : nil
  }

  func state(_ keys: inout HuggingFaceKeys, _ n: DecoderNumbers) {
    // The class calls the size of an expert that of the feed-forward network.
    keys.replace("intermediate_size", .int(innerSize))
    keys.set("intermediate_size_mlp", n.feedForwardSize)
    keys.set("num_local_experts", experts.count)
    keys.set("num_experts_per_tok", experts.used)
    keys.set("interleave_moe_layer_step", interval ?? 1)
    keys.set("moe_layers", .array(isMixed.indices.filter { isMixed[$0] }.map { .int($0) }))
    keys.set("no_rope_layers", .array(isRotated.map { .int($0 ? 1 : 0) }))
    keys.set("layer_types", .array(isChunked.map { .string($0 ? "chunked_attention" : "full_attention") }))
    keys.set("attention_chunk_size", chunk.map { .int($0) } ?? .null)
    keys.set("attn_temperature_tuning", temperature != nil)
    keys.set("floor_scale", temperature?.length ?? 8192)
    keys.set("attn_scale", temperature.map { Double("\(Float($0.scale))") ?? $0.scale } ?? 0.1)
    keys.set("use_qk_norm", normalisesHeads)
  }
}
