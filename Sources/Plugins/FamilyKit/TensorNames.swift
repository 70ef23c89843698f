public import QuantCore

/// How each format names and stores the tensors of a model. This table is most of a family.
///
/// Tensors come in the order of the table. Rows whose role the model does not have are skipped, so that one table serves variants.
/// Rows with the same name in a format are parts of one tensor there: one after another, or interleaved if the first row says so.
public struct TensorNames: Sendable {
  /// Before the blocks.
  public var front: [TensorName]
  /// Of every block.
  public var block: [TensorName]
  /// After the blocks.
  public var back: [TensorName]
  /// Prefix of all names in each format.
  public var prefixes: [Naming: String]
  /// Prefix of the names in a block, after that of the model; `*` is the block's number.
  public var blockPrefixes: [Naming: String]

  public init(
    front: [TensorName], block: [TensorName], back: [TensorName], prefixes: [Naming: String] = [.huggingFace: "model."],
    blockPrefixes: [Naming: String] = [.huggingFace: "layers.*.", .gguf: "blk.*."]
  ) {
    self.front = front
    self.block = block
    self.back = back
    self.prefixes = prefixes
    self.blockPrefixes = blockPrefixes
  }

  /// The names that Llama and most models after it use; those of experts are Qwen's.
  public static let llama = TensorNames(
    front: [TensorName(.tokenEmbedding, "embed_tokens", "token_embd")],
    block: [
      TensorName(.attentionNorm, "input_layernorm", "attn_norm"),
      TensorName(.query, "self_attn.q_proj", "attn_q"),
      TensorName(.key, "self_attn.k_proj", "attn_k"),
      TensorName(.value, "self_attn.v_proj", "attn_v"),
      TensorName(.queryNorm, "self_attn.q_norm", "attn_q_norm"),
      TensorName(.keyNorm, "self_attn.k_norm", "attn_k_norm"),
      TensorName(.attentionOutput, "self_attn.o_proj", "attn_output"),
      TensorName(.feedForwardNorm, "post_attention_layernorm", "ffn_norm"),
      TensorName(.gate, "mlp.gate_proj", "ffn_gate"),
      TensorName(.up, "mlp.up_proj", "ffn_up"),
      TensorName(.down, "mlp.down_proj", "ffn_down"),
      TensorName(.router, "mlp.gate", "ffn_gate_inp"),
      TensorName(expert: .gate, "mlp.experts.*.gate_proj", "ffn_gate_exps"),
      TensorName(expert: .up, "mlp.experts.*.up_proj", "ffn_up_exps"),
      TensorName(expert: .down, "mlp.experts.*.down_proj", "ffn_down_exps"),
    ],
    back: [
      TensorName(.outputNorm, "norm", "output_norm"), TensorName(.output, .outside("lm_head"), "output"),
    ])

  /// The row of a role in a block; a role that the table does not have yet is added at the end.
  public subscript(role: TensorRole, ofExperts ofExperts: Bool = false) -> TensorName {
    get { block.first { $0.role == role && $0.isOfExperts == ofExperts } ?? TensorName(role, isOfExperts: ofExperts, [:]) }
    set {
      if let index = block.firstIndex(where: { $0.role == role && $0.isOfExperts == ofExperts }) {
        block[index] = newValue
      } else {
        block.append(newValue)
      }
    }
  }

  /// Replaces the rows of these roles.
  public mutating func rename(_ rows: TensorName...) {
    for row in rows { self[row.role, ofExperts: row.isOfExperts] = row }
  }

  /// Chooses the prefix under which a folder holds the embedding, for families whose models are saved under several.
  public mutating func choosePrefix(_ prefixes: [String], in tensors: Checkpoint) {
    guard let place = front.first?.places[.huggingFace] else { return }
    let found = prefixes.first { tensors[$0 + place.name + place.suffix] != nil }
    if let prefix = found ?? prefixes.first { self.prefixes[.huggingFace] = prefix }
  }

  /// Names experts one by one where a checkpoint has them so, and not in stacks: it is one of codes.
  public mutating func chooseExperts(in tensors: Checkpoint) {
    for index in block.indices {
      guard let place = block[index].places[tensors.naming], let name = place.nameOfCodes else { continue }
      guard !tensors.tensors.contains(where: { $0.name.hasSuffix("." + place.name + place.suffix) }) else { continue }
      let ending = "." + name.replacing("*", with: "0") + ".weight"
      if tensors.tensors.contains(where: { $0.name.hasSuffix(ending) }) { block[index].places[tensors.naming] = NamedPlace(name) }
    }
  }

  /// What a format calls a tensor outside the blocks; nil if it has no place for it.
  public func name(_ role: TensorRole, _ naming: Naming) -> String? {
    (front + back).first { $0.role == role }?.places[naming].map { place in
      (place.isOutside ? "" : prefixes[naming] ?? "") + place.name + place.suffix
    }
  }

  /// Inserts rows after that of a role.
  public mutating func insert(_ rows: TensorName..., after role: TensorRole) { insert(rows, after: role) }

  /// The same for a list of rows.
  public mutating func insert(_ rows: [TensorName], after role: TensorRole) {
    let index = block.lastIndex { $0.role == role } ?? block.endIndex - 1
    block.insert(contentsOf: rows, at: index + 1)
  }
}

/// One row: a role with its name in each format.
public struct TensorName: Sendable {
  public var role: TensorRole
  /// Whether it is a tensor of the experts of a mixture.
  public var isOfExperts: Bool
  /// By format; absent: the format has no place for it.
  public var places: [Naming: NamedPlace]

  public init(_ role: TensorRole, isOfExperts: Bool = false, _ places: [Naming: NamedPlace]) {
    self.role = role
    self.isOfExperts = isOfExperts
    self.places = places
  }

  /// - Parameter gguf: nil: llama.cpp has no place for it.
  public init(_ role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace?) {
    self.init(role, [.huggingFace: huggingFace, .gguf: gguf].compactMapValues { $0 })
  }

  /// Of every expert. A name with `*` for the expert's number means one tensor for each; a name without it, one stack of all.
  public init(expert role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace?) {
    self.init(role, isOfExperts: true, [.huggingFace: huggingFace, .gguf: gguf].compactMapValues { $0 })
  }
}

/// A tensor's name in one format, and how the format stores it.
public struct NamedPlace: Sendable, ExpressibleByStringLiteral {
  /// The order of the rows of one tensor, or of several that are stored as one.
  public enum Order: Sendable {
    /// As in the model, tensor after tensor.
    case same
    /// Row i and row i + half of each head next to each other.
    case rotaryPairs
    /// By key-value heads: the rows of the first head of every tensor, then those of the second.
    case headsByTurns
    /// One row of each tensor in turn.
    case rowsByTurns
    /// In this many pieces: the first piece of every tensor, then the second.
    case piecesByTurns(Int)
    /// From row `first` on, units of `size` rows in `groups` equal groups: first the first unit of every group, then the second of each.
    case unitsByTurns(first: Int, size: Int, groups: Int)
  }

  /// Without prefix and suffix.
  public var name: String
  /// Suffixes of the name of a weight, and of its bias.
  public var suffix = ".weight"
  public var biasSuffix = ".bias"
  /// Whether the name has no prefix, neither the model's nor a block's.
  public var isOutside = false
  public var order = Order.same
  /// Whether matrices are `[in, out]`.
  public var isTransposed = false
  /// Whether a vector is a matrix of one row.
  public var isRow = false
  /// Whether the rows of each key-value head are a separate matrix in a stack of all.
  public var isStackedByHeads = false
  /// Which values are stored.
  public var values = ValueMap.same
  /// The order of columns.
  public var columns = ColumnOrder.same
  /// The dimensions of the stored tensor, if they are not those of the model; their product is the same.
  public var dimensions: [Int]?
  /// Rows that the stored tensor has, if the model's others are zero; nil: all.
  public var heldRows: Int?
  /// Rows of the stored tensor before those of the model, which nothing reads.
  public var unusedRows = 0
  /// The schemes in which clients expect the weight; see `TensorPlace.schemes`.
  public var schemes: [String] = []
  /// What a stored tensor of floats states as its dimensions; see `TensorPlace.dimensions`.
  public var statedDimensions: [Int]?

  /// Whether a stack of experts is stored as one matrix, the rows of each expert after those of the one before.
  public var isFlat = false

  /// The name that folders of codes have instead, with `*` for the expert's number, where floats may be stacked; nil: the same name.
  public var nameOfCodes: String?

  public init(_ name: String) { self.name = name }
  public init(stringLiteral name: String) { self.name = name }

  /// A name without the prefixes of the model and of a block.
  public static func outside(_ name: String) -> NamedPlace {
    var place = NamedPlace(name)
    place.isOutside = true
    return place
  }

  /// The same with other suffixes.
  public func named(suffix: String, biasSuffix: String = ".bias") -> NamedPlace {
    var place = self
    place.suffix = suffix
    place.biasSuffix = biasSuffix
    return place
  }

  /// The same with rows in another order.
  public func ordered(_ order: Order) -> NamedPlace {
    var place = self
    place.order = order
    return place
  }

  /// The same with transposed matrices.
  public var transposed: NamedPlace {
    var place = self
    place.isTransposed = true
    return place
  }

  /// The same with vectors as matrices of one row.
  public var row: NamedPlace {
    var place = self
    place.isRow = true
    return place
  }

  /// The same with one matrix per key-value head.
  public var stackedByHeads: NamedPlace {
    var place = self
    place.isStackedByHeads = true
    return place
  }

  /// The same with other dimensions.
  public func shaped(_ dimensions: [Int]) -> NamedPlace {
    var place = self
    place.dimensions = dimensions
    return place
  }

  /// The same for a matrix of which only the first rows are stored.
  public func holding(rows: Int) -> NamedPlace {
    var place = self
    place.heldRows = rows
    return place
  }

  /// The same with so many rows before, which nothing reads.
  public func after(rows: Int) -> NamedPlace {
    var place = self
    place.unusedRows = rows
    return place
  }

  /// The same for a stack of experts that is stored as one matrix.
  public var flat: NamedPlace {
    var place = self
    place.isFlat = true
    return place
  }

  /// The same, with another name in folders of codes; `*` is the expert's number.
  public func apart(_ name: String) -> NamedPlace {
    var place = self
    place.nameOfCodes = name
    return place
  }

  /// The same for a weight that clients expect in one of these schemes.
  public func stored(as schemes: String...) -> NamedPlace {
    var place = self
    place.schemes = schemes
    return place
  }

  /// The same for floats whose rows clients see divided into these dimensions.
  public func stating(_ dimensions: [Int]) -> NamedPlace {
    var place = self
    place.statedDimensions = dimensions
    return place
  }

  /// The same with other values stored.
  public func storing(_ values: ValueMap) -> NamedPlace {
    var place = self
    place.values = values
    return place
  }
}
