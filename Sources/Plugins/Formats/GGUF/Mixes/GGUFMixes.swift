public import QuantCore

/// The presets of llama.cpp: which tensor of a model gets which type.
///
/// A mix gives most tensors one base type and some tensors more bits. Special in every mix: the output matrix (or the embedding,
/// if tied) is at least Q5_K; rows whose length is not a multiple of the block's fall back to another type.
public enum GGUFMixes: PresetProvider {
  public static let id = "llama.cpp"
  public static let summary = "Chooses for each tensor the type that llama-quantize chooses."
  public static let reference = "https://github.com/ggml-org/llama.cpp/tree/master/tools/quantize"
  public static let presetNames = Mix.table.map { $0.name }

  public static func preset(named name: String) -> (any Preset)? { Mix.named(name) }

  /// The number that `general.file_type` has for a preset or a type, or nil if llama.cpp has none.
  static func fileType(preset name: String) -> UInt32? { Mix.named(name)?.fileType ?? BlockType.holding(scheme: name)?.fileType }
}
