import QuantCore
import Testing

/// The weights of a Hugging Face checkpoint as a GGUF holds them, made by the converter's own formula.
enum GGUFTwin {
  static func of(_ source: Checkpoint) throws -> Checkpoint {
    let model = try Fixture.describe(source)
    let p = model.parameters
    let architecture = try #require(model.ggufArchitecture)
    var tensors: [CheckpointTensor] = []
    var written: Set<String> = []
    for tensor in model.tensors {
      guard let stored = source[tensor.huggingFace?.name ?? ""], let target = tensor.gguf, written.insert(target.name).inserted else {
        continue
      }
      var matrix = stored.matrix()
      if architecture == "llama", tensor.id.role == .query { matrix = swapHalves(matrix, rows: stored.shape[0], heads: p.headCount) }
      if architecture == "llama", tensor.id.role == .key {
        matrix = swapHalves(matrix, rows: stored.shape[0], heads: p.keyValueHeadCount)
      }
      if architecture == "bloom", tensor.id.role == .query { matrix = groupThirds(matrix, rows: stored.shape[0], heads: p.headCount) }
      if architecture == "gpt2", tensor.id.block != nil, stored.shape.count == 2 { matrix = transpose(matrix) }
      if tensor.id.expert != nil { matrix.append(of: (1..<p.expertCount).compactMap { source[tensor.expertName($0)]?.matrix() }) }
      tensors.append(f32(target.name, target.shape, matrix.values))
    }
    if case .llama3 = p.rope.scaling {
      let factors = p.rope.frequencyFactors()
      tensors.append(f32("rope_freqs.weight", [factors.count], factors))
    }
    return Checkpoint(
      path: "twin.gguf", format: "fixture", tensors: tensors, naming: .gguf,
      configuration: .gguf(metadata(p, architecture)), files: [])
  }

  static func f32(_ name: String, _ shape: [Int], _ values: [Float]) -> CheckpointTensor {
    CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.f32, ByteView(values.withUnsafeBytes { [UInt8]($0) })))
  }

  /// `reshape(heads, 2, half, ...).swapaxes(1, 2)`: of every head, the rows of both halves by turns.
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

  /// `reshape(heads, 3, size, ...)`, then all first parts, all second, all third.
  private static func groupThirds(_ matrix: Matrix, rows: Int, heads: Int) -> Matrix {
    let size = rows / heads / 3
    let width = matrix.values.count / rows
    var values: [Float] = []
    for part in 0..<3 {
      for head in 0..<heads {
        let row = (head * 3 + part) * size
        values += matrix.values[row * width..<(row + size) * width]
      }
    }
    return Matrix(rows: matrix.rows, columns: matrix.columns, values: values)
  }

  private static func transpose(_ matrix: Matrix) -> Matrix {
    Matrix(
      rows: matrix.columns, columns: matrix.rows,
      values: (0..<matrix.columns).flatMap { column in (0..<matrix.rows).map { matrix[$0, column] } })
  }

  private static func metadata(_ p: HyperParameters, _ architecture: String) -> KeyValues {
    var values = KeyValues()
    values["general.architecture"] = .string(architecture)
    func set(_ key: String, _ value: Int) { values["\(architecture).\(key)"] = .u32(UInt32(value)) }
    set("embedding_length", p.hiddenSize)
    set("block_count", p.blockCount)
    set("context_length", p.contextLength)
    set("feed_forward_length", p.feedForwardSize)
    set("attention.head_count", p.headCount)
    set("attention.head_count_kv", p.keyValueHeadCount)
    if p.statesHeadSize {
      set("attention.key_length", p.headSize)
      set("attention.value_length", p.headSize)
    }
    if p.positions == .rotary { set("rope.dimension_count", p.headSize) }
    if p.expertCount > 0 {
      set("expert_count", p.expertCount)
      set("expert_used_count", p.expertsPerToken)
    }
    if let window = p.slidingWindow { set("attention.sliding_window", window) }
    let norm = p.norm == .layer ? "layer_norm_epsilon" : "layer_norm_rms_epsilon"
    values["\(architecture).attention.\(norm)"] = .f32(Float(p.normEpsilon))
    values["\(architecture).rope.freq_base"] = .f32(Float(p.rope.theta))
    if case .linear(let factor) = p.rope.scaling {
      values["\(architecture).rope.scaling.type"] = .string("linear")
      values["\(architecture).rope.scaling.factor"] = .f32(Float(factor))
    }
    values["tokenizer.ggml.tokens"] = .strings((0..<p.vocabularySize).map { "t\($0)" })
    return values
  }
}

extension Matrix {
  /// Rows of other matrices behind its own.
  fileprivate mutating func append(of others: [Matrix]) {
    self = Matrix(
      rows: rows + others.reduce(0) { $0 + $1.rows }, columns: columns, values: values + others.flatMap { $0.values })
  }
}

extension ModelTensor {
  /// The name of the same tensor of another expert than the first.
  fileprivate func expertName(_ expert: Int) -> String {
    (huggingFace?.name ?? "").split(separator: ".").map(String.init).enumerated()
      .map { $0.offset == 5 ? String(expert) : $0.element }.joined(separator: ".")
  }
}
