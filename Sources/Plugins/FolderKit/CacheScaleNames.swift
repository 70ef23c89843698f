import QuantCore

/// Names that tools gave the scales of cached keys and values before clients agreed on `k_scale` and `v_scale` in the attention. vLLM still
/// reads them.
enum CacheScaleNames {
  /// By the ends of names: scales of the outputs of the layers that make keys and values, and one scale for both.
  private static let older: [(end: String, current: [String])] = [
    (".k_proj.output_scale", [".k_scale"]), (".v_proj.output_scale", [".v_scale"]), (".kv_scale", [".k_scale", ".v_scale"]),
  ]

  /// The tensors with the scales under today's names. Where both are stored, nothing is changed.
  static func current(_ stored: [CheckpointTensor]) -> [CheckpointTensor] {
    guard stored.contains(where: { tensor in older.contains { tensor.name.hasSuffix($0.end) } }) else { return stored }
    let names = Set(stored.map(\.name))
    var result: [CheckpointTensor] = []
    for tensor in stored {
      let found = older.first { tensor.name.hasSuffix($0.end) }
      let attention = String(tensor.name.dropLast(found?.end.count ?? 0))
      let renamed: [String] = (found?.current ?? []).map { attention + $0 }
      guard !renamed.isEmpty, names.isDisjoint(with: renamed) else {
        result.append(tensor)
        continue
      }
      result += renamed.map { CheckpointTensor(name: $0, shape: tensor.shape, storage: tensor.storage) }
    }
    return result
  }
}
