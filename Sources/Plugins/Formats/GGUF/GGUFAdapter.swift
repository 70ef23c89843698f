import QuantCore

/// LoRA adapters in a GGUF: two tensors for each weight matrix, named after it, and one `alpha` for all.
///
/// llama.cpp scales by `alpha / rank`, and by 1 if alpha is 0. It looks up tokens in `lora_a` of an embedding, which is
/// therefore transposed. The matrices of experts are stacked as in a model.
enum GGUFAdapter {
  static let typeKey = "general.type"
  static let typeName = "adapter"
  static let kindKey = "adapter.type"
  static let kindName = "lora"
  static let alphaKey = "adapter.lora.alpha"
  private static let endings = (a: ".lora_a", b: ".lora_b")
  private static let embedding = "token_embd.weight"
  /// Weights whose adapter llama.cpp would ignore.
  private static let unread = ["position_embd.weight"]

  /// The adapter in a file, or nil if its metadata says that it is not an adapter.
  /// - Throws: `Failure` `adapter.…` if its tensors are not pairs of one rank.
  static func read(_ metadata: KeyValues, _ tensors: [CheckpointTensor]) throws(Failure) -> LowRankAdapter? {
    guard metadata[typeKey]?.stringValue == typeName, metadata[kindKey]?.stringValue == kindName else { return nil }
    let alpha = metadata[alphaKey]?.doubleValue ?? 0
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var adapter = LowRankAdapter(
      naming: GGUFFormat.naming, updates: [], alpha: alpha, baseModel: metadata["general.base_model.0.name"]?.stringValue)
    for tensor in tensors {
      if tensor.name.hasSuffix(endings.a) {
        let target = String(tensor.name.dropLast(endings.a.count))
        guard let other = byName[target + endings.b] else { throw incomplete(tensor.name) }
        adapter.updates += try updates(of: target, tensor, other, alpha: alpha)
      } else if tensor.name.hasSuffix(endings.b) {
        guard byName[tensor.name.dropLast(endings.b.count) + endings.a] != nil else { throw incomplete(tensor.name) }
      } else {
        adapter.replacements.append(tensor)
      }
    }
    return adapter
  }

  private static func incomplete(_ name: String) -> Failure {
    Failure(.data, "adapter.pair", "is one of a pair, and the other matrix is missing", tensor: name, remedy: "Fetch the adapter again.")
  }

  private static func updates(
    of target: String, _ a: CheckpointTensor, _ b: CheckpointTensor, alpha: Double
  ) throws(Failure) -> [LowRankUpdate] {
    let dimensions = a.shape.count
    let isEmbedding = target == embedding
    let rank = a.shape.dropLast(isEmbedding ? 0 : 1).last ?? 0
    guard dimensions == b.shape.count, dimensions == 2 || dimensions == 3 && !isEmbedding, a.storage.isNumeric, b.storage.isNumeric,
      dimensions == 2 || a.shape[0] == b.shape[0], !a.shape.contains(0), !b.shape.contains(0), b.shape[dimensions - 1] == rank
    else {
      throw Failure(
        .data, "adapter.shape", "has shape \(b.shape), which cannot be multiplied with its partner of shape \(a.shape)", tensor: b.name)
    }
    let scale = alpha == 0 ? 1 : alpha / Double(rank)
    if isEmbedding {
      return [
        LowRankUpdate(
          target: target, outputs: ThinMatrix(a, ranksFirst: false), inputs: ThinMatrix(b, ranksFirst: false), scale: scale,
          isEmbedding: true)
      ]
    }
    let count = dimensions == 3 ? a.shape[0] : 1
    return (0..<count).map { index in
      let outputs = ThinMatrix(b, ranksFirst: false, index: index)
      return LowRankUpdate(
        target: target, outputs: outputs, inputs: ThinMatrix(a, ranksFirst: true, index: index), scale: scale,
        firstOutput: index * outputs.channelCount, stackCount: dimensions == 3 ? count : nil)
    }
  }

  // MARK: Writing

  /// - Throws: `Failure` `gg.adapter` for a weight to which llama.cpp applies no adapter.
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor] {
    let alpha = writtenAlpha(adapter)
    let byTarget = Dictionary(grouping: adapter.updates) { $0.target }
    var seen: Set<String> = []
    var tensors: [CheckpointTensor] = []
    for update in adapter.updates where seen.insert(update.target).inserted {
      let target = update.target
      guard !unread.contains(target) else {
        throw Failure(
          .unsupported, "gg.adapter", "llama.cpp applies no adapter to this tensor", tensor: target,
          remedy: "Merge the adapter into its model with \(setting: "lora").")
      }
      let names = (a: target + endings.a, b: target + endings.b)
      let scale = alpha / Double(update.rank)
      if let count = update.stackCount {
        let group = byTarget[target] ?? []
        let stack = LowRankUpdate.stack(
          (0..<count).map { index in group.first { $0.stackIndex == index } }, inputs: names.a, outputs: names.b
        ) { alpha / Double($0) }
        tensors += [stack.inputs, stack.outputs]
      } else if update.isEmbedding {
        tensors += [
          update.outputs(named: names.a, ranksFirst: false, readerScale: scale), update.inputs(named: names.b, ranksFirst: false),
        ]
      } else {
        tensors += [
          update.inputs(named: names.a, ranksFirst: true), update.outputs(named: names.b, ranksFirst: false, readerScale: scale),
        ]
      }
    }
    return tensors
  }

  /// The adapter's alpha, as a 32-bit float; 0 would not mean a scale of zero.
  private static func writtenAlpha(_ adapter: LowRankAdapter) -> Double { adapter.alpha == 0 ? 1 : Double(Float(adapter.alpha)) }

  /// The metadata that makes a file an adapter for models of an architecture.
  static func keyValues(_ adapter: LowRankAdapter, architecture: String) -> KeyValues {
    var values = KeyValues()
    values["general.architecture"] = .string(architecture)
    values[typeKey] = .string(typeName)
    values[kindKey] = .string(kindName)
    values[alphaKey] = .f32(Float(writtenAlpha(adapter)))
    return values
  }
}
