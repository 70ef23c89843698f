public import QuantCore

/// The number formats of ZeroQuant and ZeroQuant-FP.
///
/// ZeroQuant's mixed choice (its W4/8) has the attention in INT8 and the feed-forward layers in groups of INT4. ZeroQuant-FP's W4A8 has all
/// layers in groups of FP4 whose scales are powers of two, which makes them MXFP4 to clients, and inputs in FP8 per token.
public enum ZeroQuantPresets: PresetProvider {
  static let mixed = "zeroquant-w4a8"

  public static let id = "zeroquant"
  public static let summary = "Attention in 8-bit channels, the rest in 4-bit groups; or all in groups of FP4 or FP8, inputs per token."
  public static let reference = "arXiv 2206.01861, §5; arXiv 2307.09782"
  public static let presetNames = mixtures.map { $0.preset } + floats.map { $0.preset }

  private static let mixtures: [(preset: String, activations: ActivationScheme?)] = [
    (mixed, .int8Token), ("zeroquant-w4a16", nil),
  ]

  private static let floats: [(preset: String, scheme: String)] = [
    ("zeroquant-fp-w4a8", "e2m1-g32-e8m0"), ("zeroquant-fp-w8a8", "fp8-g128"),
  ]

  public static func preset(named name: String) -> (any Preset)? {
    mixtures.first { $0.preset == name }.map { Mixed(name: $0.preset, activations: $0.activations) }
      ?? floats.first { $0.preset == name }.map { BlockLinears(name: $0.preset, scheme: $0.scheme, activations: .fp8Token) }
  }

  private struct Mixed: Preset {
    private static let groupLength = 128

    let name: String
    let activations: ActivationScheme?

    func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice] {
      tensors.map { tensor in
        guard tensor.isQuantizable, tensor.isBlockLinear(of: model) else { return PresetChoice(scheme: nil) }
        let channels = PresetChoice(scheme: "int8-channel", activations: activations)
        if isAttention(tensor, model) { return channels }
        let columns = tensor.shape[1]
        guard columns.isMultiple(of: Mixed.groupLength) else {
          return PresetChoice(
            scheme: channels.scheme, activations: activations, note: "rows of \(columns) are not a multiple of \(Mixed.groupLength)")
        }
        return PresetChoice(scheme: "int4-g\(Mixed.groupLength)", activations: activations)
      }
    }

    /// The graph says so; without a graph, the tensor's name decides.
    private func isAttention(_ tensor: PresetTensor, _ model: ModelDescription?) -> Bool {
      if let id = tensor.id, let model { return [.attentionInput, .attentionOutput].contains(model.input(of: id)) }
      return tensor.name.contains("attn") || tensor.name.contains("attention")
    }
  }
}
