/// Presets that quantize the linear layers of the blocks and leave embeddings, output matrix and norms unquantized.
public enum WeightPresets: PresetProvider {
  public static let id = "weights"
  public static let summary = "One scheme for all linear layers of the blocks; embeddings, output and norms stay as they are."
  public static let reference = "https://docs.vllm.ai/projects/llm-compressor"
  public static let presetNames = table.map { $0.preset }

  /// Name of the preset, the scheme that it stands for, and how clients round the inputs of the layers.
  private static let table: [(preset: String, scheme: String, activations: ActivationScheme?)] = [
    ("w4a16", "int4-g128", nil),
    ("w8a16", "int8-channel", nil),
    ("w8a8", "int8-channel", .int8Token),  // llm-compressor's INT8
    ("w8a8-static", "int8-channel", .int8Static),
    ("w4a8", "int4-g128", .int8Token),
    ("fp8", "fp8-channel", .fp8Token),  // its FP8_DYNAMIC
    ("fp8-static", "fp8-tensor", .fp8Static),  // its FP8
    ("fp8-block", "fp8-block128", .fp8Group128),  // its FP8_BLOCK
    ("nvfp4", "nvfp4", .nvfp4),
    ("nvfp4a16", "nvfp4", nil),
    ("mxfp4a16", "mxfp4", nil),
    ("mxfp8a16", "mxfp8", nil),
  ]

  public static func preset(named name: String) -> (any Preset)? {
    table.first { $0.preset == name }.map { BlockLinears(name: $0.preset, scheme: $0.scheme, activations: $0.activations) }
  }
}
