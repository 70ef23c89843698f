/// Stacks of matrices whose codes a packing stores transposed relative to the model's floats.
///
/// If a family describes the model, the places of the matrices in the stack say how each is stored, and a stack is transposed by
/// transposing its place in the output. Without a family, a transposed view of the whole tensor replaces the source's tensor.
struct Stacks {
  let source: Checkpoint
  /// Nil if no family knows the model.
  let model: ModelDescription?
  let target: Target

  /// The drafts that are such stacks in one of these packings.
  func indices(_ drafts: [TensorDraft], in packings: [any Packing]) -> Set<Int> {
    Set(drafts.indices.filter { isStack(drafts[$0], in: packings) })
  }

  /// The packings that may hold a draft: for a stack, only those for such stacks.
  func holders(_ draft: ChosenDraft, among packings: [any Packing]) -> [any Packing] {
    guard isStack(draft.draft, in: target.registry.packings), draft.scheme?.grid.kind != .float else { return packings }
    return packings.filter { isStack(draft.draft, in: [$0]) }
  }

  /// The schemes in which codes of the source can be kept; for a stack, those in the packings for it.
  func keepers(of draft: TensorDraft, _ moves: CodeMoves) -> [any Scheme] {
    guard isStack(draft, in: target.registry.packings) else { return moves.keepers(of: draft) }
    let own = CodeMoves(source: source, packings: moves.packings.filter { isStack(draft, in: [$0]) }, registry: target.registry)
    return own.keepers(of: draft.isTransposed ? draft.turned : draft)
  }

  /// - Throws: `Failure` `packing.stack` for such a stack: clients look for it in no other packing.
  func check(_ draft: ChosenDraft) throws(Failure) {
    let registry = target.registry
    let own = registry.packings.filter { isStack(draft.draft, in: [$0]) }
    guard !own.isEmpty, let scheme = draft.scheme else { return }
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.filter { name in
      (try? registry.scheme(name, modelType: .bf16)).map { scheme in own.contains { $0.holds(scheme.grid) } } ?? false
    }
    throw Failure(
      .unsupported, "packing.stack",
      "clients unpack these stacked matrices only from '\(own.map { type(of: $0).id }.joined(separator: "', '"))', not from \(scheme.name)",
      file: target.path, tensor: draft.name,
      remedy: "Leave \(setting: "packing") out and give this tensor \(names.joined(separator: ", ")), or leave it unquantized with "
        + "\(setting: "tensor") '\(draft.name)=bf16'.")
  }

  /// Transposes the stacks whose chosen scheme needs the other orientation.
  /// - Returns: the source with the same tensors.
  func turning(_ drafts: inout [ChosenDraft]) -> Checkpoint {
    var source = source
    for index in indices(drafts.map(\.draft), in: target.registry.packings) {
      guard let scheme = drafts[index].scheme else { continue }
      let draft = drafts[index].draft
      if !draft.pieces.isEmpty {
        if draft.isTransposed != (scheme.grid.kind == .float) { drafts[index].draft = draft.turned }
      } else if (scheme.grid.kind != .float) != (draft.tensor.storage.codes != nil), let turned = TransposedStack.tensor(draft.tensor) {
        drafts[index].draft.tensor = turned
        drafts[index].draft.shape = turned.shape
        source.replace(turned)
      }
    }
    return source
  }

  private func isStack(_ draft: TensorDraft, in packings: [any Packing]) -> Bool {
    guard draft.shape.count == 3 else { return false }
    let configuration = target.naming == source.naming ? source.configuration : model?.configurations[target.naming]
    return packings.contains { ($0 as? any StackPacking)?.holdsStack(draft.name, configuration: configuration) == true }
  }
}
