public import QuantCore

/// How the `config.json` of a family calls the numbers of a Mamba mixer.
public struct MambaKeys: Sendable {
  /// Channels of the state, tokens of the convolution, length of the vector that time steps are made from, and how many times wider than
  /// the hidden states the mixer is.
  public var stateSize: String
  public var kernelSize: String
  public var stepSize: String
  public var expand: String
  /// Whether the convolution has a bias.
  public var convolutionBias: String

  public init(stateSize: String, kernelSize: String, stepSize: String, expand: String, convolutionBias: String) {
    self.stateSize = stateSize
    self.kernelSize = kernelSize
    self.stepSize = stepSize
    self.expand = expand
    self.convolutionBias = convolutionBias
  }

  /// Of models that consist of such layers alone.
  public static let mamba = MambaKeys(
    stateSize: "state_size", kernelSize: "conv_kernel", stepSize: "time_step_rank", expand: "expand", convolutionBias: "use_conv_bias")
  /// Of models that mix it with an attention, after Jamba.
  public static let hybrid = MambaKeys(
    stateSize: "mamba_d_state", kernelSize: "mamba_d_conv", stepSize: "mamba_dt_rank", expand: "mamba_expand",
    convolutionBias: "mamba_conv_bias")
}

extension ConfigurationKeys {
  /// The Mamba mixer that the configuration states.
  public func mamba(width: Int, names: MambaKeys, tensors: Checkpoint) throws(Failure) -> Mamba {
    func value(_ key: String, _ gguf: String, _ value: Int) throws(Failure) -> Int {
      json(key)?.intValue == nil && !isStored ? value : try positiveSize(key, gguf)
    }
    let inner = isStored ? try positiveSize("", "ssm.inner_size") : try size("intermediate_size", "") ?? 0
    var part = Mamba(
      width: width, innerSize: names.expand == "expand" || isStored ? inner : 0,
      stateSize: try value(names.stateSize, "ssm.state_size", 16),
      stepSize: try value(names.stepSize, "ssm.time_step_rank", (width + 15) / 16),
      kernelSize: try value(names.kernelSize, "ssm.conv_kernel", 4))
    if part.innerSize == 0 { part.innerSize = try value(names.expand, "", 2) * width }
    let largest = 1 << 20
    guard part.innerSize <= 1 << 24, part.stateSize <= largest, part.stepSize <= largest, part.kernelSize <= largest else {
      throw Failure(.data, "model.state-space", "a state-space layer of \(part.innerSize) channels is not supported", file: path)
    }
    part.hasConvolutionBias =
      isStored ? tensors.tensors.contains { $0.name.hasSuffix(".ssm_conv1d.bias") } : json(names.convolutionBias)?.boolValue ?? true
    return part
  }
}

extension ConfigurationKeys {
  /// The hyperparameters of a model that consists of recurrent mixers alone.
  /// - Parameter ties: what is assumed if a `config.json` does not say whether embeddings are tied.
  public func recurrentNumbers(ties: Bool, tensors: Checkpoint) throws(Failure) -> DecoderNumbers {
    try refuseActivations(otherThan: "silu")
    var n = DecoderNumbers()
    n.hiddenSize = try positiveSize("hidden_size", "embedding_length")
    n.blockCount = try positiveSize("num_hidden_layers", "block_count")
    try check(blockCount: n.blockCount, in: tensors)
    n.contextLength = 1 << 20
    n.normEpsilon = try number("layer_norm_epsilon", "attention.layer_norm_rms_epsilon") ?? 1e-5
    let embedding = "backbone.embeddings.weight"
    n.tiesEmbeddings = try tiesEmbeddings(default: ties, tensors, embedding: embedding)
    n.vocabularySize = try vocabularySize(tensors[embedding] ?? tensors["token_embd.weight"])
    return n
  }
}

extension GGUFKeys {
  /// What the converter writes of a model that consists of recurrent mixers alone, before it describes the mixer.
  public mutating func setRecurrent(_ n: DecoderNumbers) {
    set("context_length", n.contextLength)
    set("embedding_length", n.hiddenSize)
    set("feed_forward_length", 0)
    set("attention.head_count", 0)
    set("block_count", n.blockCount)
  }

  /// What the converter writes about a Mamba mixer.
  public mutating func setMamba(_ part: Mamba) {
    set("ssm.conv_kernel", part.kernelSize)
    set("ssm.inner_size", part.innerSize)
    set("ssm.state_size", part.stateSize)
    set("ssm.time_step_rank", part.stepSize)
  }
}

extension HuggingFaceKeys {
  /// States the hyperparameters of a model that consists of recurrent mixers alone.
  public mutating func setRecurrent(_ n: DecoderNumbers) {
    set("hidden_size", n.hiddenSize)
    set("num_hidden_layers", n.blockCount)
    set("vocab_size", n.vocabularySize)
    set("layer_norm_epsilon", n.normEpsilon)
    set("tie_word_embeddings", n.tiesEmbeddings)
  }

  /// States a Mamba mixer.
  public mutating func setMamba(_ part: Mamba, _ names: MambaKeys) {
    set(names.stateSize, part.stateSize)
    set(names.kernelSize, part.kernelSize)
    set(names.stepSize, part.stepSize)
    set(names.expand, max(1, part.innerSize / max(1, part.width)))
    set(names.convolutionBias, part.hasConvolutionBias)
  }
}

extension TensorNames {
  /// The names outside of the mixers, in a model that consists of these alone.
  public static let recurrent = TensorNames(
    front: [TensorName(.tokenEmbedding, "embeddings", "token_embd")], block: [TensorName(.attentionNorm, "norm", "attn_norm")],
    back: [TensorName(.outputNorm, "norm_f", "output_norm"), TensorName(.output, .outside("lm_head"), "output")],
    prefixes: [.huggingFace: "backbone."])

  /// Adds the names of a Mamba mixer.
  /// - Parameters:
  ///   - module: its name in a folder, without a dot at its end.
  ///   - role: the row that they come after.
  public mutating func insertMamba(_ part: Mamba, module: String, after role: TensorRole) {
    func named(_ name: String) -> NamedPlace { NamedPlace(name).named(suffix: "") }
    let (channels, size) = (part.innerSize, part.kernelSize)
    let inputs = [TensorRole.stateStepInput, .stateInput, .stateOutput].map { TensorName($0, NamedPlace("\(module).x_proj"), "ssm_x") }
    insert(
      [
        TensorName(.stateValue, NamedPlace("\(module).in_proj"), "ssm_in"),
        TensorName(.stateGate, NamedPlace("\(module).in_proj"), "ssm_in"),
        TensorName(
          .convolution, NamedPlace("\(module).conv1d").shaped([channels, 1, size]), NamedPlace("ssm_conv1d").shaped([channels, size])),
        TensorName(.convolutionBias, named("\(module).conv1d.bias"), named("ssm_conv1d.bias")),
      ] + inputs + [
        TensorName(.stepNorm, NamedPlace("\(module).dt_layernorm"), "ssm_dt_norm"),
        TensorName(.stateInputNorm, NamedPlace("\(module).b_layernorm"), "ssm_b_norm"),
        TensorName(.stateOutputNorm, NamedPlace("\(module).c_layernorm"), "ssm_c_norm"),
        TensorName(.stateStep, NamedPlace("\(module).dt_proj"), "ssm_dt"),
        TensorName(
          .decayRate, named("\(module).A_log").storing(.negatedExponential).shaped([channels, part.stateSize]),
          named("ssm_a").shaped([channels, part.stateSize])),
        TensorName(.skip, named("\(module).D"), named("ssm_d")),
        TensorName(.mixerOutput, NamedPlace("\(module).out_proj"), "ssm_out"),
      ], after: role)
  }
}
