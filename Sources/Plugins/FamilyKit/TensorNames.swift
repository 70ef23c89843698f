public import QuantCore

/// What containers call the tensors of a model, and how they hold them: the table that a family mostly is.
///
/// Tensors come in the order of the table. Rows whose role the model does not have are passed over, so that one table serves variants.
/// Rows of the same name in a container are parts of one tensor there: one after another, or by turns where the first says so.
public struct TensorNames: Sendable {
  /// In front of the blocks.
  public var front: [TensorName]
  /// Of every block.
  public var block: [TensorName]
  /// Behind the blocks.
  public var back: [TensorName]
  /// What names begin with in each container.
  public var prefixes: [Naming: String]
  /// What stands between that and the name of a block's tensor; `*` is the block's number.
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

  /// The names that Llama and most models after it use; of experts those of Qwen.
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

  /// The row of a role in a block; a role that the table does not have yet gets one at its end.
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

  /// Gives roles of a block other names in their rows.
  public mutating func rename(_ rows: TensorName...) {
    for row in rows { self[row.role, ofExperts: row.isOfExperts] = row }
  }

  /// Takes the prefix under which a folder holds the embedding, where models of one family are saved under several.
  public mutating func choosePrefix(_ prefixes: [String], in tensors: Checkpoint) {
    guard let place = front.first?.places[.huggingFace] else { return }
    let found = prefixes.first { tensors[$0 + place.name + place.suffix] != nil }
    if let prefix = found ?? prefixes.first { self.prefixes[.huggingFace] = prefix }
  }

  /// What a container calls a tensor outside of the blocks; nil where it has no place for it.
  public func name(_ role: TensorRole, _ naming: Naming) -> String? {
    (front + back).first { $0.role == role }?.places[naming].map { place in
      (place.isOutside ? "" : prefixes[naming] ?? "") + place.name + place.suffix
    }
  }

  /// Puts rows behind that of a role.
  public mutating func insert(_ rows: TensorName..., after role: TensorRole) {
    let index = block.lastIndex { $0.role == role } ?? block.endIndex - 1
    block.insert(contentsOf: rows, at: index + 1)
  }
}

/// One row: a role with its name in each container.
public struct TensorName: Sendable {
  public var role: TensorRole
  /// Whether it is about the experts of a mixture.
  public var isOfExperts: Bool
  /// By whose names the container uses; absent: such a container has no place for it.
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

  /// Of every expert. A name with `*` for its number means a tensor each, one without a stack of all.
  public init(expert role: TensorRole, _ huggingFace: NamedPlace, _ gguf: NamedPlace?) {
    self.init(role, isOfExperts: true, [.huggingFace: huggingFace, .gguf: gguf].compactMapValues { $0 })
  }
}

/// A tensor's name in one container, and what the container does to it.
public struct NamedPlace: Sendable, ExpressibleByStringLiteral {
  /// How the rows of several tensors that make one follow each other, or those of one.
  public enum Order: Sendable {
    /// As in the model, tensor after tensor.
    case same
    /// Row i and row i + half of each head next to each other.
    case rotaryPairs
    /// By key-value heads: what belongs to the first of all tensors, then what belongs to the second.
    case headsByTurns
    /// A row of each in turn.
    case rowsByTurns
  }

  /// Without prefix and suffix.
  public var name: String
  /// Behind the name of a weight, and of its bias.
  public var suffix = ".weight"
  public var biasSuffix = ".bias"
  /// Whether the prefix of the model does not stand in front.
  public var isOutside = false
  public var order = Order.same
  /// Whether matrices are `[in, out]`.
  public var isTransposed = false
  /// Whether the rows of each key-value head are a matrix of their own, in a stack of all.
  public var isStackedByHeads = false
  /// Which numbers are stored.
  public var values = ValueMap.same

  public init(_ name: String) { self.name = name }
  public init(stringLiteral name: String) { self.name = name }

  /// A name in front of which the model's prefix does not stand.
  public static func outside(_ name: String) -> NamedPlace {
    var place = NamedPlace(name)
    place.isOutside = true
    return place
  }

  /// The same under other suffixes.
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

  /// The same with matrices the other way round.
  public var transposed: NamedPlace {
    var place = self
    place.isTransposed = true
    return place
  }

  /// The same with a matrix for each key-value head.
  public var stackedByHeads: NamedPlace {
    var place = self
    place.isStackedByHeads = true
    return place
  }

  /// The same with other numbers stored.
  public func storing(_ values: ValueMap) -> NamedPlace {
    var place = self
    place.values = values
    return place
  }
}
