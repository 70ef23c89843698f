public import QuantCore
import QuantPlatform

extension ConfigurationKeys {
  /// The rotary embedding that the configuration states, for heads of `headSize`.
  ///
  /// A `config.json` has `rope_theta` beside `rope_scaling`, or (transformers 5) both inside `rope_parameters`; the type is
  /// called `rope_type` or, in older files, `type`. A GGUF states linear scaling in its keys and Llama 3's scaling as a
  /// tensor of frequency factors.
  /// - Parameters:
  ///   - factors: this tensor, if there is one.
  ///   - kind: the kind of blocks (`full_attention`) whose object is read, if `rope_parameters` has one for each.
  ///   - mayBePartial: whether the family supports rotating only a part of each head.
  ///   - defaultShare: the part of each head that is rotated if a `config.json` does not state it.
  ///   - keys: the keys of the base and of the part that is rotated, if they are not the usual ones.
  ///   - mayBeYarn: whether the model's class has YaRN.
  ///   - mayBeProportional: whether the family supports a rotation of the first pairs alone, by their frequencies among all.
  ///   - readsShare: false if other keys state the rotated channels.
  ///   - longTables: the checkpoint, if the family supports LongRoPE, whose tables are tensors of a GGUF.
  public func rope(
    headSize: Int, defaultTheta: Double, factors: CheckpointTensor?, kind: String? = nil, mayBePartial: Bool = false,
    defaultShare: Double = 1, keys: (theta: String, share: String) = ("rope_theta", "partial_rotary_factor"), mayBeYarn: Bool = true,
    mayBeProportional: Bool = false, readsShare: Bool = true, longTables: Checkpoint? = nil
  ) throws(Failure) -> Rope {
    var rope = Rope()
    rope.dimension = headSize
    if isStored {
      rope.theta = try number("", "rope.freq_base") ?? rope.theta
      if let dimension = try size("", "rope.dimension_count"), dimension != headSize {
        guard mayBePartial, dimension > 0, dimension < headSize, dimension.isMultiple(of: 2) else {
          throw unsupported("model.rope-partial", "rotary embedding covers only \(dimension) of the \(headSize) dimensions of a head")
        }
        rope.dimension = dimension
      }
      let long = try storedLong(longTables, count: rope.dimension / 2)
      rope.scaling = if let long { .long(long) } else { try storedScaling(mayBeYarn: mayBeYarn) }
      if let factors { rope.scaling = .factors(try values(of: factors, count: rope.dimension / 2)) }
      if mayBeProportional, let rotated = rope.rotatedPairs { rope.scaling = .proportional(pairs: rotated) }
    } else {
      let stated = json("rope_parameters")
      let parameters = kind.flatMap { stated?[$0] } ?? stated
      let theta = json(keys.theta) ?? json("rope_theta") ?? parameters?["rope_theta"]
      rope.theta = try theta.map { value throws(Failure) in try positive(value.doubleValue, "rope_theta") } ?? defaultTheta
      if mayBeProportional, parameters?["rope_type"]?.stringValue == "proportional" {
        let share = try (parameters?["partial_rotary_factor"]).map { value throws(Failure) in try rotated(value, of: headSize) }
        rope.scaling = .proportional(pairs: (share ?? headSize) / 2)
        if let factor = parameters?["factor"]?.doubleValue, factor != 1 {
          throw unsupported("model.rope-scaling", "rotary scaling of type 'proportional' with a factor is not supported")
        }
        return rope
      }
      let partial = json(keys.share) ?? json("partial_rotary_factor") ?? parameters?["partial_rotary_factor"] ?? .shortest(defaultShare)
      if readsShare, partial.doubleValue != 1 {
        guard mayBePartial else { throw unsupported("model.rope-partial", "'partial_rotary_factor' below 1 is not supported") }
        rope.dimension = try rotated(partial, of: headSize)
      }
      let scaling = json("rope_scaling") ?? parameters ?? .null
      let long = longTables == nil ? nil : try long(scaling, count: rope.dimension / 2)
      rope.scaling = if let long { .long(long) } else { try self.scaling(of: scaling, mayBeYarn: mayBeYarn) }
    }
    return rope
  }

  /// Dimensions of a head that are rotated, from the share that a configuration states.
  private func rotated(_ share: JSON, of headSize: Int) throws(Failure) -> Int {
    let dimension = try positive(share.doubleValue, "partial_rotary_factor") * Double(headSize)
    guard dimension >= 2, dimension <= Double(headSize), Int(dimension).isMultiple(of: 2) else {
      throw bad("partial_rotary_factor", "means \(dimension) of \(headSize) dimensions of a head")
    }
    return Int(dimension)
  }

  /// The rule by which frequencies are stretched, from the object that states it.
  public func scaling(of value: JSON, mayBeYarn: Bool = false) throws(Failure) -> Rope.Scaling {
    let type = (value["rope_type"] ?? value["type"])?.stringValue ?? "default"
    func field(_ key: String) throws(Failure) -> Double { try positive(value[key]?.doubleValue, "rope_scaling.\(key)") }
    switch type {
    // Components of a position are equal in texts.
    case "default", "mrope":
      return .none
    case "linear":
      return .linear(factor: try field("factor"))
    case "llama3":
      let context = try field("original_max_position_embeddings")
      let low = try field("low_freq_factor")
      let high = try field("high_freq_factor")
      guard let context = Int(exactly: context), high >= low else {
        throw bad("rope_scaling", "has frequency limits that contradict each other")
      }
      return .llama3(factor: try field("factor"), lowFrequency: low, highFrequency: high, originalContext: context)
    case "yarn" where mayBeYarn:
      return .yarn(try yarn(value))
    case "dynamic":
      return .dynamic(factor: try field("factor"), originalContext: try positiveSize("max_position_embeddings", ""))
    default:
      throw unsupported("model.rope-scaling", "rotary scaling of type '\(type)' is not supported")
    }
  }

  private func yarn(_ value: JSON) throws(Failure) -> Rope.Yarn {
    func field(_ key: String) throws(Failure) -> Double? {
      guard let number = value[key], !number.isNull else { return nil }
      return try positive(number.doubleValue, "rope_scaling.\(key)")
    }
    let stated = value["original_max_position_embeddings"]?.intValue
    let context = if let stated { stated } else { try positiveSize("max_position_embeddings", "") }
    guard let factor = try field("factor"), context > 0 else { throw bad("rope_scaling", "lacks values that YaRN needs") }
    var yarn = Rope.Yarn(factor: factor, originalContext: context)
    yarn.betaFast = try field("beta_fast") ?? yarn.betaFast
    yarn.betaSlow = try field("beta_slow") ?? yarn.betaSlow
    yarn.isRounded = value["truncate"]?.boolValue ?? true
    yarn.attentionFactor = try field("attention_factor")
    if yarn.attentionFactor == nil, let mscale = try field("mscale"), let all = try field("mscale_all_dim") {
      func magnitude(_ scale: Double) -> Double { factor > 1 ? 0.1 * scale * log(factor) + 1 : 1 }
      yarn.attentionFactor = magnitude(mscale) / magnitude(all)
    }
    return yarn
  }

  private func storedScaling(mayBeYarn: Bool) throws(Failure) -> Rope.Scaling {
    // A factor of zero means none; a factor without a type means linear scaling.
    let factor = metadata("rope.scaling.factor")?.doubleValue ?? metadata("rope.scale_linear")?.doubleValue ?? 0
    let type = metadata("rope.scaling.type")?.stringValue ?? "linear"
    switch type {
    case "none": return .none
    case "linear": return factor == 0 ? .none : .linear(factor: try positive(factor, "rope.scaling.factor"))
    case "yarn" where mayBeYarn:
      let stated = try size("", "rope.scaling.original_context_length")
      let context = if let stated { stated } else { try size("", "context_length") ?? 0 }
      guard context > 0 else { throw missing("", "rope.scaling.original_context_length") }
      var yarn = Rope.Yarn(factor: try positive(factor, "rope.scaling.factor"), originalContext: context)
      yarn.betaFast = try number("", "rope.scaling.yarn_beta_fast") ?? yarn.betaFast
      yarn.betaSlow = try number("", "rope.scaling.yarn_beta_slow") ?? yarn.betaSlow
      // llama.cpp multiplies the paper's factor by this one.
      let key = metadata("rope.scaling.yarn_attn_factor") == nil ? "rope.scaling.attn_factor" : "rope.scaling.yarn_attn_factor"
      if let own = try number("", key) { yarn.attentionFactor = own * (0.1 * log(max(1, yarn.factor)) + 1) }
      return .yarn(yarn)
    default: throw unsupported("model.rope-scaling", "rotary scaling of type '\(type)' is not supported")
    }
  }

  func values(of tensor: CheckpointTensor, count: Int) throws(Failure) -> [Float] {
    guard tensor.storage.isNumeric, tensor.shape == [count] else {
      throw Failure(
        .data, "model.tensor-shape", "the tensor of rotary factors has shape \(tensor.shape), expected [\(count)]", file: path,
        tensor: tensor.name)
    }
    let values = tensor.matrix().values
    guard values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw Failure(.data, "model.rope-factors", "a rotary factor is not a positive number", file: path, tensor: tensor.name)
    }
    return values
  }
}

extension Rope {
  /// How many pairs stored factors leave as they are, if they keep all pairs after these from rotating; nil: they do something else.
  fileprivate var rotatedPairs: Int? {
    guard case .factors(let factors) = scaling, let first = factors.firstIndex(of: Rope.still) else { return nil }
    return factors[..<first].allSatisfy { $0 == 1 } && factors[first...].allSatisfy { $0 == Rope.still } ? first : nil
  }
}
