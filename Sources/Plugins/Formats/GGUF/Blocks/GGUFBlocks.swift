public import QuantCore

/// The block types of GGUF with the rounding rules of llama.cpp.
///
/// Bytes equal those of a default llama.cpp build, with and without importance (its *importance matrix*). The trap: the
/// blocks of 32 compute their codes with the scale before it is rounded to 16 bits; the super-blocks compute them again with
/// the stored scale, unless that is zero. `mxfp4-ggml` and `nvfp4-ggml` are named after the library whose rules they follow:
/// `mxfp4` and `nvfp4` follow those of other projects.
public enum GGUFBlocks: SchemeProvider {
  public static let id = "gguf-blocks"
  public static let summary = "GGUF's block types, bit for bit as llama.cpp rounds them."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h, ggml/src/ggml-quants.c"
  public static let schemeNames = schemes.map { $0.name }

  private static let schemes = BlockType.all.compactMap { $0.scheme }.filter { !($0 is GridBlocks) }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? { blockScheme(named: name) }

  /// The block scheme of this name, or nil.
  static func blockScheme(named name: String) -> (any GGUFBlockScheme)? { schemes.first { $0.name == name } }
}
