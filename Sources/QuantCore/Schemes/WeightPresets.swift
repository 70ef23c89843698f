/// Presets that quantize the linear layers of the blocks and leave embeddings, output and norms alone.
public enum WeightPresets: PresetProvider {
  public static let id = "weights"
  public static let summary = "One scheme for all linear layers of the blocks; embeddings, output and norms stay as they are."
  public static let reference = "https://docs.vllm.ai/projects/llm-compressor"
  public static let presetNames = table.map { $0.preset }

  /// Name of the preset, and the scheme that it stands for.
  private static let table: [(preset: String, scheme: String)] = [
    ("w4a16", "int4-g128"),
    ("w8a16", "int8-channel"),
  ]

  public static func preset(named name: String) -> (any Preset)? {
    table.first { $0.preset == name }.map { BlockLinears(name: $0.preset, scheme: $0.scheme) }
  }

  private struct BlockLinears: Preset {
    let name: String
    let scheme: String

    func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice] {
      tensors.map { tensor in
        guard tensor.isQuantizable, tensor.isBlockLinear(of: model) else { return PresetChoice(scheme: nil) }
        let columns = tensor.shape[1]
        if let length = groupLength, !columns.isMultiple(of: length) {
          return PresetChoice(scheme: nil, note: "rows of \(columns) are no multiple of \(length)")
        }
        return PresetChoice(scheme: scheme)
      }
    }

    private var groupLength: Int? {
      (IntegerSchemes.scheme(named: scheme, modelType: .f32) as? IntegerScheme)?.groupLength
    }
  }
}
