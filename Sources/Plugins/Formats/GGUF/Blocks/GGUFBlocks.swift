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
  public static let schemeNames = schemes.map { $0.name }

  private static let schemes = BlockType.all.compactMap { $0.scheme }.filter { !($0 is GridBlocks) }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? { blockScheme(named: name) }

  /// The block scheme of this name, or nil.
  static func blockScheme(named name: String) -> (any GGUFBlockScheme)? { schemes.first { $0.name == name } }
}
