/// What a person should know of the schemes that were chosen: how many tensors did not get what was asked for the whole, and why.
struct ChoiceSummary {
  let drafts: [ChosenDraft]
  let source: Checkpoint
  let model: ModelDescription?
  let target: Target

  var warnings: [String] { [fallbacks, unknownLayers].compactMap { $0 } }

  /// Tensors that cannot be stored as asked, with what would fit them.
  private var fallbacks: String? {
    let left = drafts.filter { $0.note != nil && $0.scheme?.grid.kind == .float }
    guard let first = left.first, let note = first.note else { return nil }
    let others = target.fitting(first.rowLength).filter { $0 != "f16" }
    return "\(left.count) of \(drafts.count) tensors are left unquantized, such as '\(first.name)' (\(note))"
      + (others.isEmpty ? "" : "; these schemes fit: " + others.joined(separator: ", "))
  }

  /// What stays as it is because no family knows it and its name does not say that it is a linear layer, and how much becomes codes.
  private var unknownLayers: String? {
    let quantized = drafts.filter { $0.scheme.map { $0.grid.kind != .float } ?? false }
    guard !target.format.knowsLayersByName, !quantized.isEmpty else { return nil }
    let left = drafts.filter { draft in
      // Everybody expects the embedding and the output matrix to stay.
      let isOuter = target.format.outerRole(draft.name, id: draft.id) != nil
      guard draft.id == nil, draft.isQuantizable, draft.scheme?.grid.kind == .float, !isOuter else { return false }
      var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: true, id: nil)
      tensor.configuration = source.configuration
      return !tensor.isBlockLinear(of: model)
    }
    guard let first = left.first else { return nil }
    let share = (ChoiceSummary.weights(quantized) / max(1, ChoiceSummary.weights(drafts)) * 100).rounded()
    return "\(left.count) \(left.count == 1 ? "tensor stays" : "tensors stay") as stored because nothing says that "
      + "\(left.count == 1 ? "it is a linear layer" : "they are linear layers") of the language model, such as '\(first.name)'; "
      + "\(Int(share)) % of the weights are quantized"
  }

  /// Weights of some tensors together; a double, because shapes come from a file.
  private static func weights(_ drafts: [ChosenDraft]) -> Double {
    drafts.reduce(0) { $0 + $1.shape.reduce(1.0) { $0 * Double($1) } }
  }
}
