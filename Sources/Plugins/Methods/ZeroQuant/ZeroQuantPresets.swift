public import QuantCore

/// ZeroQuant's mixed choice (the paper's W4/8): the attention in INT8, the feed-forward layers in groups of INT4.
public enum ZeroQuantPresets: PresetProvider {
  static let mixed = "zeroquant-w4a8"

  public static let id = "zeroquant"
  public static let summary = "Attention in 8-bit channels, feed-forward layers in 4-bit groups; inputs rounded per token or not at all."
  public static let reference = "arXiv 2206.01861, §5"
  public static let presetNames = table.map { $0.preset }

  private static let table: [(preset: String, activations: ActivationScheme?)] = [
    (mixed, .int8Token), ("zeroquant-w4a16", nil),
  ]

  public static func preset(named name: String) -> (any Preset)? {
    table.first { $0.preset == name }.map { Mixed(name: $0.preset, activations: $0.activations) }
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
