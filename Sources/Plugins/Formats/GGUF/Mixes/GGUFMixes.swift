public import QuantCore

/// The presets of llama.cpp: which tensor of a model gets which type.
///
/// A mix gives most tensors one base type and some more bits. What is special in every mix: the output matrix (or the
/// embedding, where it is the output too) is at least Q5_K; rows that are no multiple of a block fall back to another type.
public enum GGUFMixes: PresetProvider {
  public static let id = "llama.cpp"
  public static let summary = "The types that llama-quantize chooses for each tensor."
  public static let reference = "https://github.com/ggml-org/llama.cpp/tree/master/tools/quantize"
  public static let presetNames = Mix.table.map { $0.name }

  public static func preset(named name: String) -> (any Preset)? { Mix.named(name) }

  /// The number that `general.file_type` has for a preset or a type, or nil where llama.cpp has none.
  static func fileType(preset name: String) -> UInt32? { Mix.named(name)?.fileType ?? BlockType.holding(scheme: name)?.fileType }
}
