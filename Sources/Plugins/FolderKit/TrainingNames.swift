import QuantCore

/// Names that programs for training leave in a folder, and that no client knows.
enum TrainingNames {
  /// What wrappers of a whole model put before every name.
  private static let outer = ["module.", "base_model.model."]
  /// What wrappers of any part insert, wherever it is.
  private static let inner = ["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.", "_forward_module."]
  /// What an adapter that was not merged adds to the names of a layer.
  private static let adapters = [".base_layer.", ".lora_A.", ".lora_B.", ".lora_magnitude_vector"]

  /// The tensors under the names of the model.
  /// - Returns: and what a wrapper had added to them, or nil.
  static func unwrapped(_ stored: [CheckpointTensor]) -> (tensors: [CheckpointTensor], found: String?) {
    var names = stored.map(\.name)
    var found: String?
    func take(_ wrapper: String, _ renamed: [String]) {
      guard Set(renamed).count == names.count, !renamed.contains("") else { return }
      names = renamed
      found = found ?? wrapper
    }
    for wrapper in inner where names.contains(where: { contains(wrapper, $0) }) {
      take(wrapper, names.map { without(wrapper, $0) })
    }
    while let wrapper = outer.first(where: { wrapper in !names.isEmpty && names.allSatisfy { $0.hasPrefix(wrapper) } }) {
      let before = names
      take(wrapper, names.map { String($0.dropFirst(wrapper.count)) })
      if names == before { break }
    }
    guard found != nil else { return (stored, nil) }
    return (zip(stored, names).map { CheckpointTensor(name: $1, shape: $0.shape, storage: $0.storage) }, found)
  }

  /// Whether a name has this as whole parts.
  private static func contains(_ wrapper: String, _ name: String) -> Bool { name.hasPrefix(wrapper) || name.contains("." + wrapper) }

  private static func without(_ wrapper: String, _ name: String) -> String {
    let inside = name.replacing("." + wrapper, with: ".")
    return inside.hasPrefix(wrapper) ? String(inside.dropFirst(wrapper.count)) : inside
  }

  /// An adapter that is stored with its model, but not merged.
  static func findings(_ tensors: [CheckpointTensor]) -> [Finding] {
    let names = tensors.map(\.name).filter { name in adapters.contains { name.contains($0) } }
    return Finding.grouped(
      .error, "adapter.unmerged", "belongs to an adapter that was saved with its model and is not merged", in: names,
      remedy: "Merge it with PEFT (merge_and_unload) and save the result.")
  }
}
