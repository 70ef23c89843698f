public import QuantCore

/// The presets of llama.cpp: which tensor of a model gets which type.
///
/// A mix gives most tensors one base type and some more bits. What is special in every mix: the output matrix (or the
/// embedding, where it is the output too) is at least Q6_K; rows that are no multiple of a block fall back to another type.
public enum GGUFMixes: PresetProvider {
  public static let id = "llama.cpp"
  public static let summary = "The types that llama-quantize chooses for each tensor."
  public static let reference = "https://github.com/ggml-org/llama.cpp/tree/master/tools/quantize"
  public static let presetNames = Mix.table.map { $0.name }

  public static func preset(named name: String) -> (any Preset)? { Mix.named(name) }

  /// The number that `general.file_type` has for a preset, or nil where the name is not of this set.
  static func fileType(preset name: String) -> UInt32? { Mix.named(name)?.fileType }
}

/// One row of the table of mixes.
struct Mix: Preset {
  /// Blocks of a model that get more bits.
  enum Blocks {
    /// The first and last eighth, and every third block between.
    case scattered
    case firstEighth
    case firstFour

    func contains(_ index: Int, of count: Int) -> Bool {
      switch self {
      case .scattered: index < count / 8 || index >= 7 * count / 8 || (index - count / 8) % 3 == 2
      case .firstEighth: index < count / 8
      case .firstFour: index < 4
      }
    }
  }

  typealias Upgrade = (blocks: Blocks, scheme: String)

  let name: String
  /// Another name that people type.
  var alias: String?
  /// llama.cpp's number of the mix.
  let fileType: UInt32
  /// Type of everything that no other column names.
  let base: String
  /// Value projections: the smallest matrices of a block, and the most sensitive ones.
  var value: Upgrade?
  /// Down projections.
  var down: Upgrade?
  /// Down projections where importance is given: without it, types with a minimum do worse there.
  var downWithImportance: Upgrade?
  /// Attention output of models with 8 experts.
  var outputWithEightExperts: String?

  static let table: [Mix] = [
    Mix(
      name: "q4_k_m", alias: "q4_k", fileType: 15, base: "q4_k", value: (.scattered, "q6_k"), down: (.scattered, "q6_k"),
      outputWithEightExperts: "q5_k"),
    Mix(
      name: "q4_k_s", fileType: 14, base: "q4_k", value: (.firstFour, "q5_k"), down: (.firstEighth, "q5_k"),
      outputWithEightExperts: "q5_k"),
    Mix(name: "q5_k_m", alias: "q5_k", fileType: 17, base: "q5_k", value: (.scattered, "q6_k"), down: (.scattered, "q6_k")),
    Mix(name: "q5_k_s", fileType: 16, base: "q5_k"),
    Mix(name: "q6_k", fileType: 18, base: "q6_k"),
    Mix(name: "q8_0", fileType: 7, base: "q8_0"),
    Mix(name: "q4_0", fileType: 2, base: "q4_0", downWithImportance: (.firstEighth, "q4_1")),
    Mix(name: "q4_1", fileType: 3, base: "q4_1"),
    Mix(name: "q5_0", fileType: 8, base: "q5_0", downWithImportance: (.firstEighth, "q5_1")),
    Mix(name: "q5_1", fileType: 9, base: "q5_1"),
    Mix(name: "bf16", fileType: 32, base: "bf16"),
    Mix(name: "f16", fileType: 1, base: "f16"),
    Mix(name: "f32", fileType: 0, base: "f32"),
  ]

  static func named(_ name: String) -> Mix? { table.first { $0.name == name || $0.alias == name } }

  /// Weights per block of a type, and the type for rows that are no multiple of it.
  private static let blocks: [String: (length: Int, fallback: String)] = [
    "q4_k": (256, "q5_0"), "q5_k": (256, "q5_1"), "q6_k": (256, "q8_0"),
    "q4_0": (32, "f16"), "q4_1": (32, "f16"), "q5_0": (32, "f16"), "q5_1": (32, "f16"), "q8_0": (32, "f16"),
  ]

  func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice] {
    guard Mix.blocks[base] != nil else {
      return tensors.map { PresetChoice(scheme: $0.isQuantizable ? base : nil) }
    }
    let facts = ModelFacts(tensors, model: model)
    var choices = [PresetChoice](repeating: PresetChoice(scheme: nil), count: tensors.count)
    var values = 0
    var downs = 0
    // The position of a tensor among its kind counts, in the order of blocks and not of the file.
    for index in ModelFacts.loadingOrder(tensors) where tensors[index].isQuantizable {
      let tensor = tensors[index]
      let kind = MixTensorKind(tensor.name)
      let block = facts.expertCount > 1 ? ModelFacts.block(of: tensor.name) : nil
      let wanted = scheme(for: tensor, kind: kind, position: kind == .down ? block ?? downs : values, facts: facts)
      if kind == .value { values += 1 }
      if kind == .down { downs += 1 }
      choices[index] = Mix.fitting(wanted, columns: tensor.shape.last ?? 1)
    }
    return choices
  }

  private func scheme(for tensor: PresetTensor, kind: MixTensorKind, position: Int, facts: ModelFacts) -> String {
    switch kind {
    case .output,
      .embedding where facts.tiesEmbeddings:
      let fits = (tensor.shape.last ?? 1).isMultiple(of: Mix.blocks[base]?.length ?? 1)
      return base == "q8_0" || !fits ? "q8_0" : "q6_k"
    case .value:
      if facts.expertCount == 8 { return "q8_0" }
      if let value, value.blocks.contains(position, of: facts.valueCount) { return value.scheme }
      // Models of 80 blocks with shared heads: the value projection is an eighth of the query's, and more bits cost nothing.
      return facts.isSeventyBillion && base == "q4_k" ? "q5_k" : base
    case .key: return facts.expertCount == 8 ? "q8_0" : base
    case .attentionOutput: return facts.expertCount == 8 ? outputWithEightExperts ?? base : base
    case .down:
      let special = tensor.hasImportance ? downWithImportance ?? down : down
      if let special, special.blocks.contains(position, of: facts.blockCount) { return special.scheme }
      return base
    case .embedding, .other: return base
    }
  }

  /// `scheme`, or what takes its place where rows of `columns` weights are no multiple of its blocks.
  private static func fitting(_ scheme: String, columns: Int) -> PresetChoice {
    var result = scheme
    while let block = blocks[result], !columns.isMultiple(of: block.length) { result = block.fallback }
    guard result != scheme, let block = blocks[scheme] else { return PresetChoice(scheme: scheme) }
    return PresetChoice(scheme: result, note: "rows of \(columns) are no multiple of \(block.length), which \(scheme) needs")
  }
}

/// What a mix distinguishes, told by the names that GGUF gives.
enum MixTensorKind {
  case output, embedding, value, key, attentionOutput, down, other

  init(_ name: String) {
    if name == "output.weight" {
      self = .output
    } else if name == "token_embd.weight" || name == "per_layer_token_embd.weight" {
      self = .embedding
    } else if MixTensorKind.values.contains(where: { name.contains($0) }) {
      self = .value
    } else if name.contains("attn_k.weight") {
      self = .key
    } else if name.contains("attn_output.weight") {
      self = .attentionOutput
    } else if name.contains("ffn_down") {
      self = .down
    } else {
      self = .other
    }
  }

  /// A fused projection that holds the values counts as one.
  private static let values = ["attn_qkv.weight", "attn_kv_b.weight", "attn_v.weight"]
}

/// What a mix needs to know about a model, from its tensors.
struct ModelFacts {
  let tiesEmbeddings: Bool
  let valueCount: Int
  let blockCount: Int
  /// Experts of a block; 0 or 1 for a dense model.
  let expertCount: Int
  /// Whether llama.cpp counts the model as one of 70 billion weights: 80 blocks, fewer heads for keys than for queries.
  let isSeventyBillion: Bool

  init(_ tensors: [PresetTensor], model: ModelDescription?) {
    let shapes = Dictionary(tensors.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
    tiesEmbeddings = shapes["output.weight"] == nil
    valueCount = tensors.count { MixTensorKind($0.name) == .value }
    let blocks = model?.parameters.blockCount ?? (tensors.compactMap { ModelFacts.block(of: $0.name) }.max() ?? -1) + 1
    blockCount = blocks
    let experts = tensors.first { $0.name.hasSuffix("ffn_down_exps.weight") }
    expertCount = experts?.shape.first ?? 0
    let queryRows = shapes["blk.0.attn_q.weight"]?.first ?? 0, keyRows = shapes["blk.0.attn_k.weight"]?.first ?? 0
    isSeventyBillion = blocks == 80 && keyRows < queryRows
  }

  /// The number in `blk.N.`, or nil. A number beyond 32 bits is none: the name is a file's, and numbers are added to.
  static func block(of name: String) -> Int? {
    let words = name.split(separator: ".", maxSplits: 2)
    return words.count == 3 && words[0] == "blk" ? Int32(words[1]).map { Int($0) } : nil
  }

  /// Tensors outside of blocks first, then block after block, and by name within each.
  static func loadingOrder(_ tensors: [PresetTensor]) -> [Int] {
    let keys = tensors.map { (block(of: $0.name) ?? -1, Array($0.name.utf8)) }
    return tensors.indices.sorted { a, b in
      keys[a].0 != keys[b].0 ? keys[a].0 < keys[b].0 : keys[a].1.lexicographicallyPrecedes(keys[b].1)
    }
  }
}
