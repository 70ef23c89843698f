public import QuantCore

public struct GGUFFormat: Sendable {
  public static let id = "gguf"
  public static let summary = "stand-in"
  public static let reference = "stand-in"
  public static let fileExtensions = ["gguf"]
  public static let isFolder = false
  public static func recognises(_ path: String) -> Bool { false }
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint { throw Failure(.unsupported, "stand-in", "") }
}



/// A tensor type of GGUF: how many weights a block has, and how many bytes.
struct GGUFTensorType: Sendable, Equatable {
  /// Number in the file.
  let id: UInt32
  /// As llama.cpp spells it (`Q4_K`).
  let name: String
  /// Weights in a block; the length of a row is a multiple.
  let blockLength: Int
  let blockBytes: Int

  /// Name of the scheme: `q4_k`, `f16`, `i32`.
  var schemeName: String { name.lowercased() }
  /// The element type where the type is plain numbers, or nil for blocks.
  var elementType: ElementType? { blockLength == 1 ? ElementType(rawValue: name) : nil }

  /// The type with this number, or nil.
  static func type(id: UInt32) -> GGUFTensorType? { byID[id] }
  /// The type of this scheme, or nil.
  static func type(schemeName: String) -> GGUFTensorType? { byScheme[schemeName] }

  /// Numbers that older files used and that no reader knows any more.
  static let removedIDs: Set<UInt32> = [4, 5, 31, 32, 33, 36, 37, 38]

  static let all: [GGUFTensorType] = [
    // Plain numbers.
    .init(id: 0, name: "F32", blockLength: 1, blockBytes: 4),
    .init(id: 1, name: "F16", blockLength: 1, blockBytes: 2),
    .init(id: 30, name: "BF16", blockLength: 1, blockBytes: 2),
    .init(id: 24, name: "I8", blockLength: 1, blockBytes: 1),
    .init(id: 25, name: "I16", blockLength: 1, blockBytes: 2),
    .init(id: 26, name: "I32", blockLength: 1, blockBytes: 4),
    .init(id: 27, name: "I64", blockLength: 1, blockBytes: 8),
    .init(id: 28, name: "F64", blockLength: 1, blockBytes: 8),
    // One scale, or scale and minimum, per 32 weights.
    .init(id: 2, name: "Q4_0", blockLength: 32, blockBytes: 18),
    .init(id: 3, name: "Q4_1", blockLength: 32, blockBytes: 20),
    .init(id: 6, name: "Q5_0", blockLength: 32, blockBytes: 22),
    .init(id: 7, name: "Q5_1", blockLength: 32, blockBytes: 24),
    .init(id: 8, name: "Q8_0", blockLength: 32, blockBytes: 34),
    // Super-blocks with quantized sub-scales.
    .init(id: 10, name: "Q2_K", blockLength: 256, blockBytes: 84),
    .init(id: 11, name: "Q3_K", blockLength: 256, blockBytes: 110),
    .init(id: 12, name: "Q4_K", blockLength: 256, blockBytes: 144),
    .init(id: 13, name: "Q5_K", blockLength: 256, blockBytes: 176),
    .init(id: 14, name: "Q6_K", blockLength: 256, blockBytes: 210),
    // Used for activations while computing; not expected in files, but sized.
    .init(id: 9, name: "Q8_1", blockLength: 32, blockBytes: 36),
    .init(id: 15, name: "Q8_K", blockLength: 256, blockBytes: 292),
    // Codebooks and non-linear tables.
    .init(id: 16, name: "IQ2_XXS", blockLength: 256, blockBytes: 66),
    .init(id: 17, name: "IQ2_XS", blockLength: 256, blockBytes: 74),
    .init(id: 18, name: "IQ3_XXS", blockLength: 256, blockBytes: 98),
    .init(id: 19, name: "IQ1_S", blockLength: 256, blockBytes: 50),
    .init(id: 20, name: "IQ4_NL", blockLength: 32, blockBytes: 18),
    .init(id: 21, name: "IQ3_S", blockLength: 256, blockBytes: 110),
    .init(id: 22, name: "IQ2_S", blockLength: 256, blockBytes: 82),
    .init(id: 23, name: "IQ4_XS", blockLength: 256, blockBytes: 136),
    .init(id: 29, name: "IQ1_M", blockLength: 256, blockBytes: 56),
    // Ternary and binary.
    .init(id: 34, name: "TQ1_0", blockLength: 256, blockBytes: 54),
    .init(id: 35, name: "TQ2_0", blockLength: 256, blockBytes: 66),
    .init(id: 41, name: "Q1_0", blockLength: 128, blockBytes: 18),
    .init(id: 42, name: "Q2_0", blockLength: 64, blockBytes: 18),
    // 4-bit floats with a scale per 32 or 16 weights.
    .init(id: 39, name: "MXFP4", blockLength: 32, blockBytes: 17),
    .init(id: 40, name: "NVFP4", blockLength: 64, blockBytes: 36),
  ]

  private static let byID = Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
  private static let byScheme = Dictionary(uniqueKeysWithValues: all.map { ($0.schemeName, $0) })
}
