import QuantCore

/// One row of the table of mixes: which type each kind of tensor gets. The first rule of a kind whose conditions hold decides; if
/// none holds, the tensor gets the base type.
///
/// Source: `src/llama-quant.cpp` of llama.cpp, `llama_tensor_get_type_impl`.
struct Mix: Preset {
  let name: String
  /// Another accepted name.
  var alias: String?
  /// llama.cpp's number of the mix.
  let fileType: UInt32
  /// The type of all tensors without a rule.
  let base: GGUFTensorType
  /// The output matrix, or the embedding if tied.
  var output = BlockType.q6_k
  /// An embedding that is not tied.
  var embedding: BlockType?
  /// Value layers (and fused ones that contain the values): the smallest matrices of a block, and the most sensitive ones.
  var value: [MixRule] = []
  var query: [MixRule] = []
  var key: [MixRule] = []
  var attentionOutput: [MixRule] = []
  var gateAndUp: [MixRule] = []
  var down: [MixRule] = []
  /// Tensors that are not stacks of experts, whatever their kind.
  var unstacked: BlockType?
  var importantSchemes: Set<String> = []
  /// Whether keys and values of models of 8 experts get 8 bits, and values of large models with shared heads at least 5: true of
  /// all mixes but the smallest. The smallest count down projections in order of appearance, not by the number of their block.
  var sparesSmallMatrices = true

  func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice] {
    guard case .blocks(let base) = base else {
      return tensors.map { PresetChoice(scheme: $0.isQuantizable ? self.base.schemeName : nil) }
    }
    let facts = MixFacts(tensors, model: model)
    var choices = [PresetChoice](repeating: PresetChoice(scheme: nil), count: tensors.count)
    var counts: [MixTensorKind: Int] = [:]
    // The position of a tensor among those of its kind matters, in the order of blocks and not of the file.
    for index in MixFacts.loadingOrder(tensors) where tensors[index].isQuantizable && !tensors[index].isDecided {
      let tensor = tensors[index]
      let kind = MixTensorKind(tensor.name)
      let counted = counts[kind, default: 0]
      counts[kind] = counted + 1
      // Experts may be in any order, so the block is taken from their names.
      let block = kind != .value && facts.expertCount > 1 && sparesSmallMatrices ? MixFacts.block(of: tensor.name) : nil
      let scheme = type(for: tensor, kind: kind, position: block ?? counted, base: base, facts: facts).schemeName
      choices[index] = PresetChoice(scheme: scheme)
      if let fallback = BlockFallback.replacing(scheme, columns: tensor.shape.last ?? 1) {
        choices[index] = PresetChoice(scheme: fallback.scheme, note: fallback.note)
      }
    }
    return choices
  }

  private func type(
    for tensor: PresetTensor, kind: MixTensorKind, position: Int, base: BlockType, facts: MixFacts
  ) -> BlockType {
    func first(_ rules: [MixRule]) -> BlockType? {
      let count = kind == .value ? facts.valueCount : facts.blockCount
      return rules.first { rule in
        rule.conditions.allSatisfy { $0.holds(position: position, of: count, hasImportance: tensor.hasImportance, facts) }
      }?.type
    }
    let columns = tensor.shape.last ?? 1
    if facts.architecture == "glm5-next", MixFacts.keepsEightBits.contains(where: { tensor.name.contains($0) }) { return .q8_0 }
    if kind == .output || kind == .embedding && facts.tiesEmbeddings {
      let fits = columns.isMultiple(of: base.weights)
      return fits && facts.architecture != "falcon" ? output : .q8_0
    }
    if let unstacked, !facts.isStack(tensor, kind) { return unstacked }
    switch kind {
    case .value:
      let chosen = first(value) ?? base
      guard sparesSmallMatrices else { return chosen }
      if facts.expertCount == 8 { return .q8_0 }
      return facts.isSeventyBillion && [.q3_k, .q4_k].contains(chosen) ? .q5_k : chosen
    case .key: return sparesSmallMatrices && facts.expertCount == 8 ? .q8_0 : first(key) ?? base
    case .query: return first(query) ?? base
    case .attentionOutput: return first(attentionOutput) ?? base
    case .gate, .up: return first(gateAndUp) ?? base
    case .down: return first(down) ?? base
    case .embedding: return embedding ?? base
    case .output, .other: return base
    }
  }

  var pureScheme: String? { base.schemeName }

  static func named(_ name: String) -> Mix? { table.first { $0.name == name || $0.alias == name } }
}
