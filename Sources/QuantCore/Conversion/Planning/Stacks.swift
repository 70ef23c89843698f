/// Stacks of matrices whose codes one packing holds, the other way round than the model's floats.
struct Stacks {
  let source: Checkpoint
  let registry: Registry

  /// The drafts that are such stacks in one of these packings.
  func indices(_ drafts: [TensorDraft], in packings: [any Packing]) -> Set<Int> {
    Set(drafts.indices.filter { isStack(drafts[$0], in: packings) })
  }

  /// The packings of a format that may hold a draft: those for its stack alone, where it is one.
  func holders(_ draft: ChosenDraft, among packings: [any Packing]) -> [any Packing] {
    guard isStack(draft.draft, in: registry.packings), draft.scheme?.grid.kind != .float else { return packings }
    return packings.filter { isStack(draft.draft, in: [$0]) }
  }

  /// - Throws: `Failure` `packing.stack` for such a stack: whatever packing is left, readers do not look for it there.
  func check(_ draft: ChosenDraft, output: String) throws(Failure) {
    let own = registry.packings.filter { isStack(draft.draft, in: [$0]) }
    guard !own.isEmpty, let scheme = draft.scheme else { return }
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.filter { name in
      (try? registry.scheme(name, modelType: .bf16)).map { scheme in own.contains { $0.holds(scheme.grid) } } ?? false
    }
    throw Failure(
      .unsupported, "packing.stack",
      "readers unpack these stacked matrices from '\(own.map { type(of: $0).id }.joined(separator: "', '"))' alone, not from \(scheme.name)",
      file: output, tensor: draft.name,
      remedy: "Leave --packing out and give this tensor \(names.joined(separator: ", ")), or leave it unquantized with "
        + "--tensor '\(draft.name)=bf16'.")
  }

  /// Turns the stacks that are floats and become codes, or the reverse.
  /// - Returns: the source with the same tensors.
  func turning(_ drafts: inout [ChosenDraft]) -> Checkpoint {
    var source = source
    for index in indices(drafts.map(\.draft), in: registry.packings) {
      let hasCodes = drafts[index].draft.tensor.storage.codes != nil
      guard let scheme = drafts[index].scheme, (scheme.grid.kind != .float) != hasCodes,
        let turned = TransposedStack.tensor(drafts[index].draft.tensor)
      else { continue }
      drafts[index].draft.tensor = turned
      drafts[index].draft.shape = turned.shape
      source.replace(turned)
    }
    return source
  }

  private func isStack(_ draft: TensorDraft, in packings: [any Packing]) -> Bool {
    source.isStack(draft.tensor, in: packings)
  }
}

extension Checkpoint {
  /// Whether a tensor is a stack that one of these packings holds.
  fileprivate func isStack(_ tensor: CheckpointTensor, in packings: [any Packing]) -> Bool {
    tensor.shape.count == 3
      && packings.contains { ($0 as? any StackPacking)?.holdsStack(tensor.name, configuration: configuration) == true }
  }

  /// The same with every stack the way round in which the model's floats are, whatever it is stored as.
  func withStacksAsFloats(_ packings: [any Packing]) -> Checkpoint {
    var copy = self
    for tensor in tensors where tensor.storage.codes != nil && isStack(tensor, in: packings) {
      if let turned = TransposedStack.tensor(tensor) { copy.replace(turned) }
    }
    return copy
  }
}
