import QuantCore

/// What a mix needs to know about a model: from the keys of a GGUF, otherwise from its description, otherwise from its tensors.
struct MixFacts {
  let architecture: String?
  let tiesEmbeddings: Bool
  let valueCount: Int
  /// Dropped blocks included: llama-quantize counts the blocks of its input.
  let blockCount: Int
  /// Query heads per key-value head in the first block; 0 for a block without attention.
  let queriesPerKey: Int
  /// Experts of a block; 0 or 1 for a dense model.
  let expertCount: Int
  /// Whether llama.cpp counts the model among those of 70 billion weights.
  let isSeventyBillion: Bool

  init(_ tensors: [PresetTensor], model: ModelDescription?) {
    let stated = tensors.first?.configuration.flatMap { $0.keyValues == nil ? nil : $0 }
    let written = model?.configurations[GGUFFormat.naming]
    let keys = stated?.keyValues ?? KeyValues(), described = written?.keyValues ?? KeyValues()
    let name = stated?.architecture ?? written?.architecture
    func number(_ key: String) -> Int? { name.flatMap { (keys["\($0).\(key)"] ?? described["\($0).\(key)"])?.firstNumber } }

    architecture = name
    let shapes = Dictionary(tensors.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    tiesEmbeddings = shapes["output.weight"] == nil
    valueCount = tensors.count { MixTensorKind($0.name) == .value }
    blockCount =
      (number("block_count") ?? (tensors.compactMap { MixFacts.block(of: $0.name) }.max() ?? -1) + 1)
      + (tensors.first?.droppedBlocks ?? 0)
    let queries = number("attention.head_count") ?? shapes["blk.0.attn_q.weight"]?.first ?? 0
    let shared =
      number("attention.head_count_kv") ?? number("attention.head_count")
      ?? shapes["blk.0.attn_k.weight"]?.first ?? 0
    queriesPerKey = shared > 0 ? queries / shared : 0
    let stack = tensors.first { $0.name.hasSuffix("ffn_down_exps.weight") }
    expertCount = number("expert_count") ?? stack?.shape.first ?? 0
    if let seventy = MixFacts.seventyBillion[name ?? "llama"] {
      isSeventyBillion = blockCount == seventy.blocks && !(seventy.needsSharedHeads && (queries == shared || expertCount == 8))
    } else {
      isSeventyBillion = false
    }
  }

  /// How llama-quantize recognises a model of 70 billion weights: by its own architecture names, and the number of blocks of such a
  /// model. Among those that count as Llama, heads must share keys and values, and eight experts mean Mixtral.
  private static let seventyBillion: [String: (blocks: Int, needsSharedHeads: Bool)] = [
    "llama": (80, true), "llama-embed": (80, true), "qwen2": (80, false), "deci": (80, false), "olmo": (80, false), "jais2": (68, false),
  ]

  /// Parts of the names of matrices that GLM 5 keeps at 8 bits.
  static let keepsEightBits = ["attn_q_a", "attn_q_b", "nextn.eh_proj"]

  /// Whether a tensor holds the matrices of several experts. Bailing 3 has other three-dimensional tensors too.
  func isStack(_ tensor: PresetTensor, _ kind: MixTensorKind) -> Bool {
    tensor.shape.count > 2 && tensor.shape[tensor.shape.count - 3] > 1
      && (architecture != "bailingmoe3" || [.up, .gate, .down].contains(kind))
  }

  /// The number in `blk.N.`, or nil. Numbers beyond 32 bits are not accepted: the name comes from a file, and the number is added to.
  static func block(of name: String) -> Int? {
    let words = name.split(separator: ".", maxSplits: 2)
    return words.count == 3 && words[0] == "blk" ? Int32(words[1]).map { Int($0) } : nil
  }

  /// Tensors outside the blocks first, then block after block, and by name within each.
  static func loadingOrder(_ tensors: [PresetTensor]) -> [Int] {
    let keys = tensors.map { (block(of: $0.name) ?? -1, Array($0.name.utf8)) }
    return tensors.indices.sorted { a, b in
      keys[a].0 != keys[b].0 ? keys[a].0 < keys[b].0 : keys[a].1.lexicographicallyPrecedes(keys[b].1)
    }
  }
}

extension MetadataValue {
  /// An integer, or the first element of a list with one for each block.
  fileprivate var firstNumber: Int? {
    switch self {
    case .i32s(let values): values.first.map { Int($0) }
    case .u32s(let values): values.first.map { Int($0) }
    default: intValue
    }
  }
}
