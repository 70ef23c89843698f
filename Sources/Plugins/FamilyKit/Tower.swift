public import QuantCore

/// Builds the description of a tower from a table of its tensors and the keys that clients read.
///
/// No client of a folder computes a tower alone, and the engine computes none, so a description is data: names, shapes, order of rows and
/// stored values of each tensor.
public struct Tower: Sendable {
  /// Id of the family.
  public var family: String
  /// Tensors, in the order of an output.
  public var sections: [TowerSection]
  /// The keys of a GGUF that holds the tower alone.
  public var keys: GGUFKeys
  /// Beginnings of the names of tensors that the class of the model holds and no client of a tower needs.
  public var unused: [String] = []

  public init(family: String, keys: GGUFKeys, sections: [TowerSection]) {
    self.family = family
    self.keys = keys
    self.sections = sections
  }

  /// Beginnings of the names of a language model.
  private static let languageModel = [
    "language_model.", "model.language_model.", "text_model.", "model.text_model.", "lm_head.", "model.layers.", "model.embed_tokens.",
    "model.norm.", "mtp.",
  ]

  /// The description. Prefixes of names that the folder does not use are dropped.
  /// - Parameter tensors: the checkpoint.
  public func describe(_ tensors: Checkpoint) -> ModelDescription {
    var model = ModelDescription(
      family: family, hiddenSize: 0, vocabularySize: 0, contextLength: 0, embedding: EmbeddingDescription(width: 0), blocks: [],
      head: HeadDescription(norm: nil, isTied: false), tensors: sections.flatMap { $0.tensors(in: tensors) },
      configurations: [.gguf: keys.configuration])
    model.otherParts[.huggingFace] = Tower.languageModel + unused + unused.map { "model." + $0 }
    return model
  }
}

/// Tensors of a tower whose names have a prefix in common: those of all its blocks, or others.
public struct TowerSection: Sendable {
  /// Prefixes in folders, one for each way in which versions of the class are saved; `*` is the number of a block.
  public var folderPrefixes: [String]
  /// Prefix in a GGUF.
  public var prefix: String
  /// Number of blocks; nil: the tensors are outside of blocks.
  public var blocks: Int?
  /// Dimensions of a head, for orders that depend on heads.
  public var headSize = 1
  public var rows: [TowerTensor]

  /// Tensors outside of blocks.
  public init(_ folderPrefixes: [String], _ prefix: String = "", _ rows: [TowerTensor]) {
    (self.folderPrefixes, self.prefix, self.rows) = (folderPrefixes, prefix, rows)
  }

  /// Tensors of every block.
  public init(blocks: Int, headSize: Int = 1, _ folderPrefixes: [String], _ prefix: String, _ rows: [TowerTensor]) {
    self.init(folderPrefixes, prefix, rows)
    (self.blocks, self.headSize) = (blocks, headSize)
  }

  /// - Parameter tensors: the checkpoint, which uses one of the prefixes.
  func tensors(in tensors: Checkpoint) -> [ModelTensor] {
    let first = rows.first?.place(.huggingFace)
    let all = folderPrefixes + folderPrefixes.map { "model." + $0 }
    let used = all.first { prefix in
      first.map { tensors[prefix.replacing("*", with: "0") + $0.name + $0.suffix] != nil } ?? false
    }
    let prefixes: [Naming: String] = [.huggingFace: used ?? folderPrefixes[0], .gguf: prefix]
    let isInBlocks = blocks != nil
    let table = TensorNames(
      front: [], block: [], back: [], prefixes: isInBlocks ? [:] : prefixes, blockPrefixes: isInBlocks ? prefixes : [:])
    let names = rows.map { TensorName($0.role(prefix), $0.places) }
    let members = rows.map { row in
      TensorPlacement.Member(
        tensor: PartTensor(row.role(prefix), row.shape, row.kind), isOptional: row.isOptional, bias: row.bias)
    }
    return (isInBlocks ? (0..<(blocks ?? 0)).map { Optional($0) } : [nil]).flatMap { block in
      TensorPlacement(names: names, table: table, block: block, headSize: headSize, keyValueHeads: 1).tensors(members)
    }
  }
}

/// One row of the table of a tower: where formats hold a tensor, its dimensions, and whether a bias goes with it.
public struct TowerTensor: Sendable {
  /// By format.
  public var places: [Naming: NamedPlace]
  /// Dimensions in the tower: `[out, in]`, or one dimension.
  public var shape: [Int]
  public var kind: TensorKind
  public var bias: BiasPresence
  /// Whether a checkpoint may lack it.
  public var isOptional = false

  /// - Parameters:
  ///   - folder: its place in a folder, without the section's prefix.
  ///   - gguf: the same in a GGUF.
  public init(_ folder: NamedPlace, _ gguf: NamedPlace, _ shape: [Int], _ kind: TensorKind, bias: BiasPresence = .never) {
    places = [.huggingFace: folder, .gguf: gguf]
    (self.shape, self.kind, self.bias) = (shape, kind, bias)
  }

  /// A linear layer.
  public static func linear(
    _ folder: NamedPlace, _ gguf: NamedPlace, _ out: Int, _ columns: Int, bias: BiasPresence = .always
  ) -> TowerTensor { TowerTensor(folder, gguf, [out, columns], .projection, bias: bias) }

  /// A norm over `size` channels, with a bias unless it divides by the root of the mean square.
  public static func norm(_ folder: NamedPlace, _ gguf: NamedPlace, _ size: Int, bias: BiasPresence = .always) -> TowerTensor {
    TowerTensor(folder, gguf, [size], .norm, bias: bias)
  }

  /// Another vector, whose names are complete.
  public static func vector(_ folder: String, _ gguf: String, _ size: Int) -> TowerTensor {
    TowerTensor(.whole(folder), .whole(gguf), [size], .vector)
  }

  /// A table that is always stored in 32 bits, such as that of learned positions.
  public static func table(_ folder: NamedPlace, _ gguf: NamedPlace, _ rows: Int, _ columns: Int) -> TowerTensor {
    TowerTensor(folder, gguf.stored(as: "f32"), [rows, columns], .constant)
  }

  /// The weight of a convolution with kernels of these dimensions, whose names are complete. Nothing but 16-bit or 32-bit floats holds it.
  public static func convolution(
    _ folder: String, _ gguf: String, _ out: Int, _ columns: Int, kernel: [Int], schemes: [String] = ["f32", "f16"]
  ) -> TowerTensor {
    let dimensions = [out, columns] + kernel
    var place = NamedPlace.whole(gguf).shaped(dimensions)
    place.schemes = schemes
    return TowerTensor(.whole(folder).shaped(dimensions), place, rows(dimensions), .constant)
  }

  /// The kernels of a convolution that are stored as matrices are, as far as their rows can be; names are complete.
  public static func kernels(_ folder: String, _ gguf: String, _ dimensions: [Int], schemes: [String] = []) -> TowerTensor {
    var place = NamedPlace.whole(gguf).shaped(dimensions)
    place.schemes = schemes
    return TowerTensor(.whole(folder).shaped(dimensions), place, rows(dimensions), .projection)
  }

  /// The weight of a convolution over pairs of images: a GGUF holds the kernels of each of the two as one of its own.
  public static func convolutionsOfPairs(_ folder: String, _ gguf: String, _ out: Int, _ columns: Int, size: Int) -> [TowerTensor] {
    let stored = NamedPlace.whole(folder).shaped([out, columns, 2, size, size]).ordered(.piecesByTurns(out * columns))
    return [gguf, gguf + ".1"].map { name in
      let dimensions = [out, columns, size, size]
      return TowerTensor(stored, .whole(name).shaped(dimensions).stored(as: "f32", "f16"), rows(dimensions), .constant)
    }
  }

  /// The layer that makes states of patches, where a folder holds it as a matrix with columns by point and then colour. A GGUF holds it as
  /// a convolution, by colour and then point.
  public static func patches(_ folder: NamedPlace, _ gguf: NamedPlace, _ out: Int, size: Int) -> TowerTensor {
    let points = size * size
    var stored = gguf.stored(as: "f32", "f16").stating([out, 3, size, size])
    stored.columns = .units(size: 1, (0..<3 * points).map { $0 % 3 * points + $0 / 3 })
    return TowerTensor(folder, stored, [out, 3 * points], .constant)
  }

  /// As a matrix with the same rows.
  private static func rows(_ dimensions: [Int]) -> [Int] { [dimensions.dropLast().reduce(1, *), dimensions.last ?? 1] }

  /// The same for a tensor that a checkpoint may lack.
  public var optional: TowerTensor {
    var tensor = self
    tensor.isOptional = true
    return tensor
  }

  func place(_ naming: Naming) -> NamedPlace? { places[naming] }

  /// What the tensor does: no code asks, so its name in a GGUF says it.
  func role(_ prefix: String) -> TensorRole {
    TensorRole(prefix + (places[.gguf].map { $0.name + ($0.suffix == ".weight" ? "" : $0.suffix) } ?? ""))
  }
}

extension NamedPlace {
  /// A name that says whether it is a weight or a bias.
  public static func whole(_ name: String) -> NamedPlace { NamedPlace(name).named(suffix: "", biasSuffix: "") }
}
