public import QuantCore

/// How the `config.json` of a family calls the numbers of a Mamba-2 mixer.
public struct Mamba2Keys: Sendable {
  /// Heads, channels of a head, groups, channels of the state, and tokens of the convolution.
  public var heads: String
  public var headSize: String
  public var groups: String
  public var stateSize: String
  public var kernelSize: String
  /// Whether the convolution has a bias, and whether linear layers do.
  public var convolutionBias: String
  public var bias: String

  public init(
    heads: String, headSize: String, groups: String, stateSize: String, kernelSize: String, convolutionBias: String, bias: String
  ) {
    self.heads = heads
    self.headSize = headSize
    self.groups = groups
    self.stateSize = stateSize
    self.kernelSize = kernelSize
    self.convolutionBias = convolutionBias
    self.bias = bias
  }

  /// Of models that mix it with an attention, after Bamba.
  public static let hybrid = Mamba2Keys(
    heads: "mamba_n_heads", headSize: "mamba_d_head", groups: "mamba_n_groups", stateSize: "mamba_d_state", kernelSize: "mamba_d_conv",
    convolutionBias: "mamba_conv_bias", bias: "mamba_proj_bias")
}

extension ConfigurationKeys {
  /// The Mamba-2 mixer that the configuration states. Without a head size, `innerSize` is divided by the heads.
  /// - Parameters:
  ///   - names: the keys in a `config.json`.
  ///   - defaults: what is assumed for absent keys of a `config.json`.
  ///   - innerSize: channels of all heads, if a `config.json` states or implies them.
  public func mamba2(_ names: Mamba2Keys, defaults: Mamba2, innerSize: Int?, tensors: Checkpoint) throws(Failure) -> Mamba2 {
    func value(_ key: String, _ gguf: String, _ value: Int) throws(Failure) -> Int {
      json(key) == nil && !isStored ? value : try positiveSize(key, gguf)
    }
    var part = defaults
    part.headCount = try value(names.heads, "ssm.time_step_rank", defaults.headCount)
    part.groupCount = try value(names.groups, "ssm.group_count", defaults.groupCount)
    part.stateSize = try value(names.stateSize, "ssm.state_size", defaults.stateSize)
    part.kernelSize = try value(names.kernelSize, "ssm.conv_kernel", defaults.kernelSize)
    let inner = isStored ? try positiveSize("", "ssm.inner_size") : innerSize
    let stated = json(names.headSize)?.intValue
    guard let size = stated ?? inner.map({ $0 / part.headCount }), size > 0 else { throw missing(names.headSize, "ssm.inner_size") }
    part.headSize = size
    // Products of three of these must not overflow.
    let largest = 1 << 20
    guard part.headCount <= largest, part.headSize <= largest, part.groupCount <= largest, part.stateSize <= largest,
      part.kernelSize <= largest, part.headCount.isMultiple(of: part.groupCount), inner == nil || inner == part.innerSize
    else {
      throw Failure(
        .data, "model.state-space",
        "\(part.headCount) heads of \(part.headSize) channels in \(part.groupCount) groups are not a state-space layer of "
          + "\(inner.map { "\($0)" } ?? "any") channels", file: path)
    }
    part.hasConvolutionBias =
      isStored ? tensors.tensors.contains { $0.name.hasSuffix(".ssm_conv1d.bias") } : json(names.convolutionBias)?.boolValue ?? true
    if let limit = json("time_step_limit")?.arrayValue, (limit.first?.doubleValue ?? 0) > 0 || (limit.last?.doubleValue ?? .infinity) < 1e30
    {
      throw unsupported("model.variant", "limits of the time step ('time_step_limit') are not supported")
    }
    return part
  }
}

extension HuggingFaceKeys {
  /// States a Mamba-2 mixer.
  public mutating func setMamba2(_ part: Mamba2, _ names: Mamba2Keys, hasBiases: Bool) {
    set(names.heads, part.headCount)
    set(names.headSize, part.headSize)
    set(names.groups, part.groupCount)
    set(names.stateSize, part.stateSize)
    set(names.kernelSize, part.kernelSize)
    set(names.convolutionBias, part.hasConvolutionBias)
    set(names.bias, hasBiases)
  }
}
