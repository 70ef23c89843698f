import FamilyKit
public import QuantCore

/// Mamba-2: state-space layers alone, without attention and feed-forward networks.
///
/// The trap: transformers normalises the result of a layer over all channels together, llama.cpp and the original over each group. Only
/// models with one group mean the same to both.
public enum Mamba2Model: ModelFamily {
  /// Id of the family.
  public static let id = "mamba2"
  /// One sentence for lists.
  public static let summary = "Mamba-2, state-space layers alone"
  /// Paper.
  public static let reference = "arXiv:2405.21060"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] { naming == .gguf ? ["mamba2"] : ["Mamba2ForCausalLM"] }

  private static let keys = Mamba2Keys(
    heads: "num_heads", headSize: "head_dim", groups: "n_groups", stateSize: "state_size", kernelSize: "conv_kernel",
    convolutionBias: "use_conv_bias", bias: "use_bias")

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.recurrentNumbers(ties: false, tensors: tensors)
    let hasBiases = keys.json(Mamba2Model.keys.bias)?.boolValue ?? false
    let part = try keys.mamba2(
      Mamba2Model.keys,
      defaults: Mamba2(
        width: n.hiddenSize, headCount: 128, headSize: 64, stateSize: 128, groupCount: 8, kernelSize: 4,
        norm: n.rootMeanSquareNorm(.mixerNorm)),
      innerSize: try keys.size("expand", "").map { $0 * n.hiddenSize }, tensors: tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [Branch(norm: n.rootMeanSquareNorm(.attentionNorm), part)]
    }
    decoder.names = .recurrent
    decoder.names.insertMamba2(part, module: "mixer", after: .attentionNorm)
    decoder.bias = { hasBiases && $0.kind == .mixer ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases of linear layers in 'mamba2', but this model has them"
    } else {
      var stored = GGUFKeys("mamba2")
      stored.order = [
        "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "block_count", "ssm.conv_kernel",
        "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank",
      ]
      stored.setRecurrent(n)
      stored.setMamba2(part)
      stored.set("attention.layer_norm_rms_epsilon", n.normEpsilon)
      stored.setFileType()
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Mamba2ForCausalLM", modelType: "mamba2")
    stated.setRecurrent(n)
    stated.setMamba2(part, Mamba2Model.keys, hasBiases: hasBiases)
    if part.innerSize.isMultiple(of: n.hiddenSize) {
      stated.set("expand", part.innerSize / n.hiddenSize)
      model.configurations[.huggingFace] = stated.configuration
    }
    return model
  }
}
