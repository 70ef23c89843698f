public import QuantCore

/// The block types of GGUF whose stretches of 8 or 4 weights index a grid of points, with llama.cpp's rounding rule.
///
/// Bytes equal those of a default llama.cpp build. The one exception is an `iq3_s` super-block with a sub-block of zeros: llama.cpp
/// then writes the points of later sub-blocks at the places of earlier ones, and here they are at their own.
///
/// The trap: points are found for 8 weights at once, so that methods which round column by column cannot use these types.
public enum GGUFGrids: SchemeProvider {
  public static let id = "gguf-grids"
  public static let summary = "Block types of GGUF that index points of a grid, rounded as llama.cpp does."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h, ggml/src/ggml-quants.c"
  public static let schemeNames = schemes.map { $0.name }

  private static let schemes = BlockType.all.compactMap { $0.scheme as? GridBlocks }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? { schemes.first { $0.name == name } }
}
