public import QuantCore

/// The block types of GGUF that index a grid of points for every 8 or 4 weights, with llama.cpp's rounding rule.
///
/// Bytes equal those of a default llama.cpp build. The one exception is an `iq3_s` super-block with a sub-block of zeros: llama.cpp
/// then writes the points of later sub-blocks to the places of earlier ones; here they are in their own places.
///
/// The trap: a point stands for 8 weights, so codes of 8 columns are chosen at once.
public enum GGUFGrids: SchemeProvider {
  public static let id = "gguf-grids"
  public static let summary = "GGUF's block types that index points of a grid, as llama.cpp rounds them."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h, ggml/src/ggml-quants.c"
  public static let schemeNames = schemes.map { $0.name }

  private static let schemes = BlockType.all.compactMap { $0.scheme as? GridBlocks }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? { schemes.first { $0.name == name } }
}
