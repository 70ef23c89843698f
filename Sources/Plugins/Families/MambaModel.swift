import FamilyKit
public import QuantCore

/// Mamba and Falcon Mamba: state-space layers alone, without attention and feed-forward networks.
///
/// The trap: Falcon Mamba normalises B, C and what time steps are made from, without gains, and its folder does not show it.
public enum MambaModel: ModelFamily {
  /// Id of the family.
  public static let id = "mamba"
  /// One sentence for lists.
  public static let summary = "Mamba and Falcon Mamba, state-space layers alone"
  /// Paper.
  public static let reference = "arXiv:2312.00752, arXiv:2410.05355"

  private static let falcon = "FalconMambaForCausalLM"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["mamba"] : ["MambaForCausalLM", falcon] }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.recurrentNumbers(ties: true, tensors: tensors)
    let isFalcon =
      keys.isStored ? keys.metadata("ssm.dt_b_c_rms")?.boolValue ?? false : configuration.architecture == falcon
    var part = try keys.mamba(width: n.hiddenSize, names: .mamba, tensors: tensors)
    let normEpsilon = try keys.number("mixer_rms_eps", "attention.layer_norm_rms_epsilon") ?? 1e-6
    if isFalcon { part.norm = Norm(.stepNorm, .rootMeanSquare, epsilon: normEpsilon, hasGain: false) }
    let hasBiases = keys.json("use_bias")?.boolValue ?? false
    let mixer = part
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), mixer)]
    }
    decoder.names = .recurrent
    decoder.names.insertMamba(part, module: "mixer", after: .attentionNorm)
    decoder.bias = { $0.role == .stateStep || hasBiases && $0.kind == .mixer ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases of linear layers in 'mamba', but this model has them"
    } else if part.innerSize != 2 * n.hiddenSize {
      model.obstacles[.gguf] = "llama.cpp assumes that the mixers of 'mamba' are twice as wide as the hidden states"
    } else {
      if isFalcon, normEpsilon != n.normEpsilon {
        model.cautions[.gguf] = ["llama.cpp adds \(n.normEpsilon) in the norms of B, C and the time step, but this model \(normEpsilon)"]
      }
      var stored = GGUFKeys("mamba")
      stored.setRecurrent(n)
      stored.setMamba(part)
      stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
      stored.set("ssm.dt_b_c_rms", .bool(isFalcon))
      stored.setFileType()
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys(isFalcon ? falcon : "MambaForCausalLM", modelType: isFalcon ? "falcon_mamba" : "mamba")
    stated.setRecurrent(n)
    if isFalcon { stated.set("mixer_rms_eps", normEpsilon) }
    stated.setMamba(part, .mamba)
    stated.set("intermediate_size", part.innerSize)
    stated.set("use_bias", hasBiases)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
