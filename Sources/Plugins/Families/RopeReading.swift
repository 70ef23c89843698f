import QuantCore

extension ConfigurationKeys {
  /// The rotary embedding that the configuration states, for heads of `headSize`.
  ///
  /// A `config.json` has `rope_theta` beside `rope_scaling`, or (transformers 5) both inside `rope_parameters`; the type is
  /// called `rope_type` or, in older files, `type`. A GGUF states linear scaling in its keys; Llama 3's scaling is a
  /// tensor of frequency factors there.
  func rope(headSize: Int, defaultTheta: Double, factors: CheckpointTensor?) throws(Failure) -> Rope {
    var rope = Rope()
    rope.dimension = headSize
    switch configuration {
    case .huggingFace:
      let parameters = json("rope_parameters")
      let theta = json("rope_theta") ?? parameters?["rope_theta"]
      rope.theta = try theta.map { value throws(Failure) in try positive(value.doubleValue, "rope_theta") } ?? defaultTheta
      if let partial = json("partial_rotary_factor") ?? parameters?["partial_rotary_factor"], partial.doubleValue != 1 {
        throw unsupported("model.rope-partial", "'partial_rotary_factor' is not 1 in this model")
      }
      rope.scaling = try scaling(of: json("rope_scaling") ?? parameters ?? .null)
    case .gguf:
      rope.theta = try number("", "rope.freq_base") ?? rope.theta
      if let dimension = try size("", "rope.dimension_count"), dimension != headSize {
        throw unsupported("model.rope-partial", "rotary embedding covers \(dimension) of \(headSize) dimensions of a head")
      }
      rope.scaling = try storedScaling()
      if let factors { rope.scaling = .factors(try values(of: factors, count: headSize / 2)) }
    }
    return rope
  }

  private func scaling(of value: JSON) throws(Failure) -> Rope.Scaling {
    let type = (value["rope_type"] ?? value["type"])?.stringValue ?? "default"
    func field(_ key: String) throws(Failure) -> Double { try positive(value[key]?.doubleValue, "rope_scaling.\(key)") }
    switch type {
    case "default":
      return .none
    case "linear":
      return .linear(factor: try field("factor"))
    case "llama3":
      let context = try field("original_max_position_embeddings")
      let low = try field("low_freq_factor")
      let high = try field("high_freq_factor")
      guard let context = Int(exactly: context), high > low else {
        throw bad("rope_scaling", "has frequency limits that contradict each other")
      }
      return .llama3(factor: try field("factor"), lowFrequency: low, highFrequency: high, originalContext: context)
    default:
      throw unsupported("model.rope-scaling", "rotary scaling of type '\(type)' is not supported")
    }
  }

  private func storedScaling() throws(Failure) -> Rope.Scaling {
    // A factor of zero means that there is none; a factor without a type is linear.
    let factor = metadata("rope.scaling.factor")?.doubleValue ?? metadata("rope.scale_linear")?.doubleValue ?? 0
    let type = metadata("rope.scaling.type")?.stringValue ?? "linear"
    switch type {
    case "none": return .none
    case "linear": return factor == 0 ? .none : .linear(factor: try positive(factor, "rope.scaling.factor"))
    default: throw unsupported("model.rope-scaling", "rotary scaling of type '\(type)' is not supported")
    }
  }

  private func values(of tensor: CheckpointTensor, count: Int) throws(Failure) -> [Float] {
    guard tensor.storage.isNumeric, tensor.shape == [count] else {
      throw Failure(
        .data, "model.tensor-shape", "the table of rotary factors has shape \(tensor.shape), expected [\(count)]", file: path,
        tensor: tensor.name)
    }
    let values = tensor.matrix().values
    guard values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw Failure(.data, "model.rope-factors", "a rotary factor is not a positive number", file: path, tensor: tensor.name)
    }
    return values
  }
}
