/// Stacks of matrices whose codes one packing holds, the other way round than the model's floats.
extension Planner {
  /// The drafts that are such stacks in one of these packings.
  func stacks(_ drafts: [TensorMapping.Draft], in packings: [any Packing], source: Checkpoint) -> Set<Int> {
    Set(drafts.indices.filter { isStack(drafts[$0], in: packings, source: source) })
  }

  /// The packings of a format that may hold a draft: those for its stack alone, where it is one.
  func holders(_ draft: TensorMapping.Draft, among packings: [any Packing], source: Checkpoint) -> [any Packing] {
    guard isStack(draft, in: registry.packings, source: source), draft.scheme?.grid.kind != .float else { return packings }
    return packings.filter { isStack(draft, in: [$0], source: source) }
  }

  /// - Throws: `Failure` `packing.stack` for such a stack: whatever packing is left, readers do not look for it there.
  func checkStack(_ draft: TensorMapping.Draft, source: Checkpoint, request: ConversionRequest) throws(Failure) {
    let own = registry.packings.filter { isStack(draft, in: [$0], source: source) }
    guard !own.isEmpty, let scheme = draft.scheme else { return }
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.filter { name in
      (try? registry.scheme(name, modelType: .bf16)).map { scheme in own.contains { $0.holds(scheme.grid) } } ?? false
    }
    throw Failure(
      .unsupported, "packing.stack",
      "readers unpack these stacked matrices from '\(own.map { type(of: $0).id }.joined(separator: "', '"))' alone, not from \(scheme.name)",
      file: request.output, tensor: draft.name,
      remedy: "Leave --packing out and give this tensor \(names.joined(separator: ", ")), or leave it unquantized with "
        + "--tensor '\(draft.name)=bf16'.")
  }

  /// Turns the stacks that are floats and become codes, or the reverse.
  /// - Returns: the source with the same tensors.
  func turning(_ drafts: inout [TensorMapping.Draft], source: Checkpoint) -> Checkpoint {
    var source = source
    for index in stacks(drafts, in: registry.packings, source: source) {
      let hasCodes = drafts[index].tensor.storage.codes != nil
      guard let scheme = drafts[index].scheme, (scheme.grid.kind != .float) != hasCodes,
        let turned = TransposedStack.tensor(drafts[index].tensor)
      else { continue }
      drafts[index].tensor = turned
      drafts[index].shape = turned.shape
      source.replace(turned)
    }
    return source
  }

  private func isStack(_ draft: TensorMapping.Draft, in packings: [any Packing], source: Checkpoint) -> Bool {
    source.isStack(draft.tensor, in: packings)
  }
}

extension Checkpoint {
  /// Whether a tensor is a stack that one of these packings holds.
  fileprivate func isStack(_ tensor: CheckpointTensor, in packings: [any Packing]) -> Bool {
    tensor.shape.count == 3 && packings.contains { $0.holdsStack(tensor.name, configuration: configuration) }
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
