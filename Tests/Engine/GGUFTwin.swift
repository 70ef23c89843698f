import FamilyKit
import QuantCore
import TestSupport
import Testing

/// The weights of a Hugging Face checkpoint as a GGUF holds them, made by the converter's own formula.
enum GGUFTwin {
  /// Architectures in which the rows of queries and keys are in rotary pairs.
  private static let inPairs = ["llama", "granite", "smollm3", "olmo", "arcee", "minicpm", "mistral3"]

  static func of(_ source: Checkpoint) throws -> Checkpoint {
    let model = try Fixture.describe(source)
    let attention = model.attention
    let architecture = try #require(model.architecture(.gguf))
    var tensors: [CheckpointTensor] = []
    var written: Set<String> = []
    for tensor in model.tensors {
      guard let stored = source[tensor.name(.huggingFace) ?? ""], let target = tensor.place(.gguf), written.insert(target.name).inserted
      else {
        continue
      }
      var matrix = stored.matrix()
      if inPairs.contains(architecture), tensor.id.role == .query {
        matrix = swapHalves(matrix, rows: stored.shape[0], heads: attention.headCount)
      }
      if inPairs.contains(architecture), tensor.id.role == .key {
        matrix = swapHalves(matrix, rows: stored.shape[0], heads: attention.keyValueHeadCount)
      }
      if architecture != "minicpm3", let latent = model.latentAttention, [.key, .value].contains(tensor.id.role) {
        matrix = part(tensor.id.role, of: matrix, latent)
      }
      if ["bloom", "gptneox"].contains(architecture), tensor.id.role == .query {
        matrix = groupParts(matrix, rows: stored.shape[0], groups: attention.headCount, [1, 1, 1])
      }
      if architecture == "falcon", tensor.id.role == .query {
        let groups = attention.keyValueHeadCount
        matrix = groupParts(matrix, rows: stored.shape[0], groups: groups, [attention.headCount / groups, 1, 1])
      }
      if architecture == "gpt2", tensor.id.block != nil, stored.shape.count == 2 { matrix = transpose(matrix) }
      if architecture.hasPrefix("gemma") || architecture == "nemotron", tensor.kind == .norm {
        for i in matrix.values.indices { matrix.values[i] += 1 }
      }
      if tensor.id.expert != nil {
        matrix.append(of: (1..<(model.mixture?.expertCount ?? 1)).compactMap { source[tensor.expertName($0)]?.matrix() })
      }
      tensors.append(f32(target.name, target.shape, matrix.values))
    }
    if let rope = attention.rope, case .llama3 = rope.scaling {
      let factors = rope.frequencyFactors()
      tensors.append(f32("rope_freqs.weight", [factors.count], factors))
    }
    if let rope = attention.rope, case .long(let long) = rope.scaling {
      tensors.append(f32("rope_factors_long.weight", [long.longFactors.count], long.longFactors))
      tensors.append(f32("rope_factors_short.weight", [long.shortFactors.count], long.shortFactors))
    }
    return Checkpoint(
      path: "twin.gguf", format: "fixture", tensors: tensors, naming: .gguf,
      configuration: Configuration(metadata(model, architecture), architecture: architecture), files: [])
  }

  static func f32(_ name: String, _ shape: [Int], _ values: [Float]) -> CheckpointTensor {
    CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.f32, ByteView(values.withUnsafeBytes { [UInt8]($0) })))
  }

  /// `reshape(heads, 2, half, ...).swapaxes(1, 2)`: within every head, the rows of both halves alternate.
  private static func swapHalves(_ matrix: Matrix, rows: Int, heads: Int) -> Matrix {
    let half = rows / heads / 2
    let width = matrix.values.count / rows
    var values: [Float] = []
    for head in 0..<heads {
      for i in 0..<half {
        for part in 0..<2 {
          let row = (head * 2 + part) * half + i
          values += matrix.values[row * width..<(row + 1) * width]
        }
      }
    }
    return Matrix(rows: matrix.rows, columns: matrix.columns, values: values)
  }

  /// `reshape(groups, heads of a group, size, ...)`, then the first parts of all groups, the second, the third; `lengths` in heads.
  private static func groupParts(_ matrix: Matrix, rows: Int, groups: Int, _ lengths: [Int]) -> Matrix {
    let all = lengths.reduce(0, +)
    let size = rows / groups / all
    let width = matrix.values.count / rows
    var values: [Float] = []
    for part in lengths.indices {
      for group in 0..<groups {
        let row = (group * all + lengths[..<part].reduce(0, +)) * size
        values += matrix.values[row * width..<(row + lengths[part] * size) * width]
      }
    }
    return Matrix(rows: matrix.rows, columns: matrix.columns, values: values)
  }

  /// `view(heads, nope + v, rank).split([nope, v], 1)`, and for keys `.transpose(1, 2)`.
  private static func part(_ role: TensorRole, of matrix: Matrix, _ latent: LatentAttention) -> Matrix {
    var values: [Float] = []
    for head in 0..<latent.headCount {
      let row = head * (latent.plainSize + latent.valueSize)
      if role == .key {
        for channel in 0..<latent.rank { values += (row..<row + latent.plainSize).map { matrix[$0, channel] } }
      } else {
        for own in row + latent.plainSize..<row + latent.plainSize + latent.valueSize {
          values += (0..<latent.rank).map { matrix[own, $0] }
        }
      }
    }
    return Matrix(rows: values.count / matrix.columns, columns: matrix.columns, values: values)
  }

  private static func transpose(_ matrix: Matrix) -> Matrix {
    Matrix(
      rows: matrix.columns, columns: matrix.rows,
      values: (0..<matrix.columns).flatMap { column in (0..<matrix.rows).map { matrix[$0, column] } })
  }

  private static func metadata(_ model: ModelDescription, _ architecture: String) -> KeyValues {
    let attention = model.attention
    var rope = attention.rope
    var values = KeyValues()
    values["general.architecture"] = .string(architecture)
    func set(_ key: String, _ value: Int) { values["\(architecture).\(key)"] = .u32(UInt32(value)) }
    set("embedding_length", model.hiddenSize)
    set("block_count", model.blocks.count)
    set("context_length", model.contextLength)
    set("feed_forward_length", model.feedForward?.innerSize ?? 0)
    set("attention.head_count", attention.headCount)
    set("attention.head_count_kv", attention.keyValueHeadCount)
    if model.latentAttention == nil,
      attention.headSize * attention.headCount != model.hiddenSize || ["qwen3", "gemma3"].contains(architecture)
    {
      set("attention.key_length", attention.headSize)
      set("attention.value_length", attention.headSize)
    }
    if let rope = attention.rope { set("rope.dimension_count", rope.dimension) }
    if architecture == "gptneox" { values["gptneox.use_parallel_residual"] = .bool(model.blocks[0].branches[1].readsWithPrevious) }
    if let mixture = model.mixture {
      set("expert_count", mixture.expertCount)
      set("expert_used_count", mixture.routing.expertsPerToken)
      set("expert_feed_forward_length", mixture.expert.innerSize)
      if let shared = mixture.shared { set("expert_shared_feed_forward_length", shared.innerSize) }
    }
    if let window = attention.window { set("attention.sliding_window", window) }
    if architecture == "gemma3" {
      let attentions = model.blocks.compactMap { $0.branches.first?.part as? Attention }
      values["gemma3.attention.sliding_window_pattern"] = .bools(attentions.map { $0.window != nil })
      values["gemma3.rope.freq_base_swa"] = .f32(Float(attention.rope?.theta ?? 0))
      // The first block has a window; the keys for all blocks describe those without.
      rope = attentions.first { $0.window == nil }?.rope
    }
    if architecture == "minicpm3", let latent = model.latentAttention {
      set("attention.head_count", latent.headCount)
      set("attention.head_count_kv", latent.headCount)
      if let rank = latent.queryRank { set("attention.q_lora_rank", rank) }
      set("attention.kv_lora_rank", latent.rank)
      set("attention.key_length", latent.plainSize + latent.rope.dimension)
      set("rope.dimension_count", latent.rope.dimension)
    }
    if let latent = model.latentAttention, let mixture = model.mixture {
      set("attention.head_count", latent.headCount)
      set("attention.head_count_kv", 1)
      if let rank = latent.queryRank { set("attention.q_lora_rank", rank) }
      set("attention.kv_lora_rank", latent.rank)
      set("attention.key_length", latent.rank + latent.rope.dimension)
      set("attention.value_length", latent.rank)
      set("attention.key_length_mla", latent.plainSize + latent.rope.dimension)
      set("attention.value_length_mla", latent.valueSize)
      set("rope.dimension_count", latent.rope.dimension)
      set("leading_dense_block_count", 1)
      set("expert_feed_forward_length", mixture.expert.innerSize)
      set("expert_shared_count", (mixture.shared?.innerSize ?? 0) / mixture.expert.innerSize)
      set("expert_group_count", mixture.routing.groups?.count ?? 1)
      set("expert_group_used_count", mixture.routing.groups?.chosen ?? 1)
      set("expert_gating_func", 2)
      values["\(architecture).expert_weights_scale"] = .f32(mixture.routing.scale)
      values["\(architecture).expert_weights_norm"] = .bool(mixture.routing.weights == .normalisedSigmoid)
    }
    let norm = model.norm?.formula == .layer ? "layer_norm_epsilon" : "layer_norm_rms_epsilon"
    values["\(architecture).attention.\(norm)"] = .f32(Float(model.norm?.epsilon ?? 0))
    values["\(architecture).rope.freq_base"] = .f32(Float(rope?.theta ?? 10000))
    if case .linear(let factor)? = rope?.scaling {
      values["\(architecture).rope.scaling.type"] = .string("linear")
      values["\(architecture).rope.scaling.factor"] = .f32(Float(factor))
    }
    // What else the family states.
    for (key, value) in model.configurations[.gguf]?.keyValues?.entries ?? [] where values[key] == nil { values[key] = value }
    values["tokenizer.ggml.tokens"] = .strings((0..<model.vocabularySize).map { "t\($0)" })
    return values
  }
}

extension Matrix {
  /// Appends the rows of other matrices.
  fileprivate mutating func append(of others: [Matrix]) {
    self = Matrix(
      rows: rows + others.reduce(0) { $0 + $1.rows }, columns: columns, values: values + others.flatMap { $0.values })
  }
}

extension ModelTensor {
  /// The name of the same tensor of another expert.
  fileprivate func expertName(_ expert: Int) -> String {
    (name(.huggingFace) ?? "").split(separator: ".").map(String.init).enumerated()
      .map { $0.offset == 5 ? String(expert) : $0.element }.joined(separator: ".")
  }
}
