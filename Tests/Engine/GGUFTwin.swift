import QuantCore
import Testing

/// The weights of a Hugging Face checkpoint as a GGUF holds them, made by the converter's own formula.
enum GGUFTwin {
  static func of(_ source: Checkpoint) throws -> Checkpoint {
    let model = try Fixture.describe(source)
    let p = model.parameters
    let architecture = try #require(model.ggufArchitecture)
    var tensors: [CheckpointTensor] = []
    for tensor in model.tensors {
      guard let stored = source[tensor.huggingFaceName] else { continue }
      var matrix = stored.matrix()
      if architecture == "llama", tensor.id.role == .query { matrix = swapHalves(matrix, rows: stored.shape[0], heads: p.headCount) }
      if architecture == "llama", tensor.id.role == .key {
        matrix = swapHalves(matrix, rows: stored.shape[0], heads: p.keyValueHeadCount)
      }
      tensors.append(f32(tensor.ggufName, stored.shape, matrix.values))
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
    set("rope.dimension_count", p.headSize)
    if let window = p.slidingWindow { set("attention.sliding_window", window) }
    values["\(architecture).attention.layer_norm_rms_epsilon"] = .f32(Float(p.normEpsilon))
    values["\(architecture).rope.freq_base"] = .f32(Float(p.rope.theta))
    if case .linear(let factor) = p.rope.scaling {
      values["\(architecture).rope.scaling.type"] = .string("linear")
      values["\(architecture).rope.scaling.factor"] = .f32(Float(factor))
    }
    values["tokenizer.ggml.tokens"] = .strings((0..<p.vocabularySize).map { "t\($0)" })
    return values
  }
}
