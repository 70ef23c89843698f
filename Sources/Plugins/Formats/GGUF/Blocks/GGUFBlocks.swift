public import QuantCore

/// The block types of GGUF with the rounding rules of llama.cpp.
///
/// Bytes equal those of a default llama.cpp build, with and without importance (its *importance matrix*). The trap: the
/// blocks of 32 take their codes from the scale before it is rounded to 16 bits, the super-blocks round them again under
/// the stored scale, except where that is zero. `mxfp4-ggml` and `nvfp4-ggml` are named after the library that their rules are of:
/// `mxfp4` and `nvfp4` are those of other programs.
public enum GGUFBlocks: SchemeProvider {
  public static let id = "gguf-blocks"
  public static let summary = "Block types of GGUF, rounded bit for bit as llama.cpp does."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h, ggml/src/ggml-quants.c"
  public static let schemeNames = BlockLayout.all.compactMap { blockScheme(layout: $0.name)?.name }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? { blockScheme(named: name) }

  /// The block scheme of this name, or nil.
  static func blockScheme(named name: String) -> (any GGUFBlockScheme)? {
    for layout in BlockLayout.all {
      if let scheme = blockScheme(layout: layout.name), scheme.name == name { return scheme }
    }
    return nil
  }

  /// The scheme that blocks of this type are stored on, with llama.cpp's rule; or nil.
  static func blockScheme(layout name: String) -> (any GGUFBlockScheme)? {
    guard let layout = BlockLayout.named(name) else { return nil }
    switch name {
    case _ where GridType(rawValue: name) != nil: return GridBlocks(named: name)
    case "q8_0": return Q8Blocks(layout: layout)
    case "q4_0", "q5_0": return SymmetricBlocks(layout: layout)
    case "q4_1", "q5_1": return RangeBlocks(layout: layout)
    case "q2_k": return LowRangeSuperBlocks(layout: layout)
    case "q3_k": return LowSymmetricSuperBlocks(layout: layout)
    case "q4_k", "q5_k": return RangeSuperBlocks(layout: layout)
    case "q6_k": return SymmetricSuperBlocks(layout: layout)
    case "iq4_nl": return LevelBlocks(layout: layout)
    case "iq4_xs": return LevelSuperBlocks(layout: layout)
    case "tq1_0", "tq2_0", "q2_0": return TernaryBlocks(layout: layout)
    case "q1_0": return SignBlocks(layout: layout)
    case "mxfp4", "nvfp4": return FloatBlocks(layout: layout)
    default: return nil
    }
  }
}
