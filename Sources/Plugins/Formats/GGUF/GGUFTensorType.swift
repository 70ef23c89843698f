import QuantCore

/// A tensor type of GGUF: plain values, or blocks.
enum GGUFTensorType: Sendable, Hashable {
  case plain(Plain)
  case blocks(BlockType)

  /// GGUF's types of plain values, with their numbers in files.
  enum Plain: UInt32, CaseIterable {
    case f32 = 0
    case f16 = 1
    case i8 = 24
    case i16 = 25
    case i32 = 26
    case i64 = 27
    case f64 = 28
    case bf16 = 30

    var element: ElementType {
      switch self {
      case .f32: .f32
      case .f16: .f16
      case .i8: .i8
      case .i16: .i16
      case .i32: .i32
      case .i64: .i64
      case .f64: .f64
      case .bf16: .bf16
      }
    }
  }

  /// Number in the file.
  var id: UInt32 {
    switch self {
    case .plain(let type): type.rawValue
    case .blocks(let type): type.id
    }
  }

  /// As llama.cpp spells it (`Q4_K`).
  var name: String {
    switch self {
    case .plain(let type): type.element.rawValue
    case .blocks(let type): type.name.uppercased()
    }
  }

  /// The scheme with llama.cpp's rule: `q4_k`, `f16`, `mxfp4-ggml`.
  var schemeName: String {
    switch self {
    case .plain(let type): type.element.schemeName
    case .blocks(let type): type.schemeName
    }
  }

  /// Weights in a block, 1 for plain values; the length of a row is a multiple of this.
  var blockLength: Int {
    switch self {
    case .plain: 1
    case .blocks(let type): type.weights
    }
  }

  var blockBytes: Int {
    switch self {
    case .plain(let type): type.element.bitCount / 8
    case .blocks(let type): type.bytes
    }
  }

  /// The type with this number, or nil.
  static func type(id: UInt32) -> GGUFTensorType? { byID[id] }

  /// The type in which a part of a tensor is stored, or nil.
  static func type(of stored: StoredType) -> GGUFTensorType? {
    switch stored {
    case .element(let element): Plain.allCases.first { $0.element == element }.map { .plain($0) }
    case .blocks(let name): BlockType.named(name).map { .blocks($0) }
    }
  }

  /// Numbers of types in older files that no client supports any more.
  static let removedIDs: Set<UInt32> = [4, 5, 31, 32, 33, 36, 37, 38]

  private static let byID: [UInt32: GGUFTensorType] = {
    let all = Plain.allCases.map { GGUFTensorType.plain($0) } + BlockType.all.map { .blocks($0) }
    return Dictionary(uniqueKeysWithValues: all.map { ($0.id, $0) })
  }()
}
