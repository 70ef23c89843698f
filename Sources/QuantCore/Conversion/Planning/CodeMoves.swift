/// How quantized tensors move from container to container: codes and parameters are re-packed wherever the target holds their
/// grid, and weights are never rounded a second time without being asked.
struct CodeMoves {
  let source: Checkpoint
  /// The packings that may hold them in the output.
  let packings: [any Packing]
  let registry: Registry

  /// The schemes by which codes of the source can be kept in a container, the source's own first.
  /// - Returns: nothing for a tensor without codes.
  func keepers(of draft: TensorDraft) -> [any Scheme] {
    guard let stored = codes(of: draft)?.scheme else { return [] }
    // Names of groups have a free length: the one that the source has.
    let length = stored.grid.groupLength.map { "-g\($0)" } ?? "-channel"
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.map { $0.replacing("-gN", with: length) }
    var seen: Set<String> = [stored.name]
    let others = names.filter { seen.insert($0).inserted }.compactMap { try? registry.scheme($0, modelType: stored.grid.scaleType) }
      .sorted { ($0.bitsPerWeight(columns: draft.rowLength), $0.name) < ($1.bitsPerWeight(columns: draft.rowLength), $1.name) }
    return ([stored] + others).filter { $0.fits(columns: draft.rowLength) }.compactMap { scheme in
      packings.lazy.compactMap { packing in
        let own = packing.stored(scheme)
        return packing.holds(own.grid) && adoption(draft, own) != nil ? own : nil
      }.first
    }
  }

  /// How the codes of a draft become those of its scheme, or nil where there are none, or its rows cannot be put together.
  func adoption(_ draft: TensorDraft, _ scheme: any Scheme) -> Adoption? {
    guard scheme.grid.kind != .float, let codes = codes(of: draft) else { return nil }
    // Rows can change their places where no parameter spans several of them.
    guard draft.isInPlace || codes.scheme.grid.tileRows == 1 && scheme.grid.tileRows == 1 && draft.keepsRows else { return nil }
    return scheme.move(from: codes.scheme)
  }

  /// The codes of a draft's tensor, where all tensors that it is made of have codes on one grid.
  private func codes(of draft: TensorDraft) -> (any QuantizedStorage)? {
    guard let codes = draft.tensor.storage.codes else { return nil }
    let others = draft.pieces.map { source[$0.source.name]?.storage.codes?.scheme.grid }
    return others.allSatisfy { $0 == codes.scheme.grid } ? codes : nil
  }

  /// How the inputs of a layer that is kept are rounded: as in the source, where readers of the output know that.
  func keptInputs(of draft: TensorDraft, _ scheme: any Scheme) -> ActivationScheme? {
    let inputs = source.activations.inputs[QuantizedModule.name(ofWeight: draft.tensor.name)]?.scheme
    return inputs.flatMap { inputs in packings.contains { $0.holds(scheme.grid, inputs: inputs) } ? inputs : nil }
  }
}
