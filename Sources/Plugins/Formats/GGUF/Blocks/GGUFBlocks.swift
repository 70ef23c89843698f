public import QuantCore

/// The block types of GGUF that llama.cpp's mixes use most, with its rounding rule.
///
/// Bytes equal those of a default llama.cpp build, with and without importance (its *importance matrix*). The trap: the
/// blocks of 32 take their codes from the scale before it is rounded to 16 bits, the super-blocks round them again under
/// the stored scale, except where that is zero.
public enum GGUFBlocks: SchemeProvider {
  public static let id = "gguf-blocks"
  public static let summary = "Block types of GGUF, rounded bit for bit as llama.cpp does."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h, ggml/src/ggml-quants.c"
  public static let schemeNames = BlockLayout.all.map { $0.name }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? { blockScheme(named: name) }

  /// The block scheme of this name, or nil.
  static func blockScheme(named name: String) -> (any GGUFBlockScheme)? {
    guard let layout = BlockLayout.named(name) else { return nil }
    switch name {
    case _ where GridType(rawValue: name) != nil: return GridBlocks(named: name)
    case "q8_0": return Q8Blocks(layout: layout)
    case "q4_0", "q5_0": return SymmetricBlocks(layout: layout)
    case "q4_1", "q5_1": return RangeBlocks(layout: layout)
    case "q4_k", "q5_k": return RangeSuperBlocks(layout: layout)
    case "q6_k": return SymmetricSuperBlocks(layout: layout)
    default: return nil
    }
  }
}
