/// Stacks of matrices whose codes one packing holds, the other way round than the model's floats.
///
/// Where a family describes the model, the places of the matrices in the stack say what lies where, and turning a stack is turning
/// its place in the output. Without a family, a view of the whole tensor is put in the place of the source's.
struct Stacks {
  let source: Checkpoint
  /// Nil where no family knows the model.
  let model: ModelDescription?
  let target: Target

  /// The drafts that are such stacks in one of these packings.
  func indices(_ drafts: [TensorDraft], in packings: [any Packing]) -> Set<Int> {
    Set(drafts.indices.filter { isStack(drafts[$0], in: packings) })
  }

  /// The packings of a format that may hold a draft: those for its stack alone, where it is one.
  func holders(_ draft: ChosenDraft, among packings: [any Packing]) -> [any Packing] {
    guard isStack(draft.draft, in: target.registry.packings), draft.scheme?.grid.kind != .float else { return packings }
    return packings.filter { isStack(draft.draft, in: [$0]) }
  }

  /// The schemes by which codes of the source can be kept, those of a stack in the packings for it.
  func keepers(of draft: TensorDraft, _ moves: CodeMoves) -> [any Scheme] {
    guard isStack(draft, in: target.registry.packings) else { return moves.keepers(of: draft) }
    let own = CodeMoves(source: source, packings: moves.packings.filter { isStack(draft, in: [$0]) }, registry: target.registry)
    return own.keepers(of: draft.isTransposed ? draft.turned : draft)
  }

  /// - Throws: `Failure` `packing.stack` for such a stack: whatever packing is left, readers do not look for it there.
  func check(_ draft: ChosenDraft) throws(Failure) {
    let registry = target.registry
    let own = registry.packings.filter { isStack(draft.draft, in: [$0]) }
    guard !own.isEmpty, let scheme = draft.scheme else { return }
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.filter { name in
      (try? registry.scheme(name, modelType: .bf16)).map { scheme in own.contains { $0.holds(scheme.grid) } } ?? false
    }
    throw Failure(
      .unsupported, "packing.stack",
      "readers unpack these stacked matrices from '\(own.map { type(of: $0).id }.joined(separator: "', '"))' alone, not from \(scheme.name)",
      file: target.path, tensor: draft.name,
      remedy: "Leave --packing out and give this tensor \(names.joined(separator: ", ")), or leave it unquantized with "
        + "--tensor '\(draft.name)=bf16'.")
  }

  /// Turns the stacks whose codes or floats lie otherwise than they do now.
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
