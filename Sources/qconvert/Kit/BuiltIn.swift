public import QuantCore

extension QConvert {
  /// The plug-ins of the `qconvert` binary, axis by axis: the only list there is. A program of one's own adds to it.
  public static let builtIn: [any Plugin.Type] = [
    // Schemes and presets of the core:
    // FloatSchemes.self, IntegerSchemes.self, WeightPresets.self, PlainPacking.self,
    // GGUF:
    // GGUFFormat.self, GGUFBlocks.self, GGUFBlockPacking.self, GGUFMixes.self,
    // Hugging Face:
    // HuggingFaceFormat.self, SafetensorsFormat.self,
    // compressed-tensors:
    // PackQuantized.self, IntQuantized.self,
    // Methods:
    // RTN.self, AWQ.self,
    // Families:
    // Llama.self, Mistral.self, Qwen2.self, Qwen3.self,
  ]
}
