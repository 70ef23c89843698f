/// A type for some tensors of a kind.
struct MixRule {
  let type: BlockType
  /// All of them must hold.
  let conditions: [MixCondition]

  init(_ type: BlockType, _ conditions: MixCondition...) {
    self.type = type
    self.conditions = conditions
  }
}

/// A condition on a tensor, by its position among the tensors of its kind, or on its model.
enum MixCondition {
  /// The first and last eighth, and every third block in between.
  case scattered
  /// All but the first and last eighth.
  case middle
  /// The first blocks: `1/n` of all, such as 8 for an eighth.
  case firstPart(Int)
  /// This many blocks at the start.
  case first(Int)
  /// At least four query heads per key-value head.
  case sharedHeads
  /// At least four experts, whatever the heads.
  case severalExperts
  case eightExperts
  case otherExperts
  case importance
  case noImportance
  case falcon
  case notFalcon

  func holds(position: Int, of count: Int, hasImportance: Bool, _ facts: MixFacts) -> Bool {
    switch self {
    case .scattered: position < count / 8 || position >= 7 * count / 8 || (position - count / 8) % 3 == 2
    case .middle: position >= count / 8 && position < 7 * count / 8
    case .firstPart(let part): position < count / part
    case .first(let number): position < number
    case .sharedHeads: facts.queriesPerKey >= 4
    case .severalExperts: facts.expertCount >= 4
    case .eightExperts: facts.expertCount == 8
    case .otherExperts: facts.expertCount != 8
    case .importance: hasImportance
    case .noImportance: !hasImportance
    case .falcon: facts.architecture == "falcon"
    case .notFalcon: facts.architecture != "falcon"
    }
  }
}

/// The kinds of tensors that a mix distinguishes, by their names in a GGUF.
enum MixTensorKind: Hashable {
  case output, embedding, value, key, query, attentionOutput, up, gate, down, other

  init(_ name: String) {
    self =
      switch name {
      case "output.weight": .output
      case "token_embd.weight", "per_layer_token_embd.weight": .embedding
      default: MixTensorKind.parts.first { name.contains($0.part) }?.kind ?? .other
      }
  }

  /// Parts of names; the first that is found decides. A fused matrix that contains the values counts as one.
  private static let parts: [(part: String, kind: MixTensorKind)] = [
    ("attn_qkv.weight", .value), ("attn_kv_b.weight", .value), ("attn_v.weight", .value), ("attn_k.weight", .key),
    ("attn_q.weight", .query), ("attn_output.weight", .attentionOutput), ("ffn_up", .up), ("ffn_gate", .gate), ("ffn_down", .down),
  ]
}
