/// How quantized tensors get from one format to another: codes and parameters are repacked if the output can hold their grid,
/// and weights are not requantized unless a person allows it.
struct CodeMoves {
  let source: Checkpoint
  /// The packings that may hold the codes in the output.
  let packings: [any Packing]
  let registry: Registry

  /// The schemes in which the output can keep the codes of the source, the source's own scheme first.
  /// - Returns: an empty list for a tensor without codes.
  func keepers(of draft: TensorDraft) -> [any Scheme] {
    guard let stored = codes(of: draft)?.scheme else { return [] }
    // Names with `-gN` get the group size of the source.
    let length = stored.grid.scaleLength.map { "-g\($0)" } ?? "-channel"
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.map { $0.replacing("-gN", with: length) }
    var seen: Set<String> = [stored.name]
    let others = names.filter { seen.insert($0).inserted }.compactMap { try? registry.scheme($0, modelType: stored.grid.scaleType) }
      .sorted { ($0.bitsPerWeight(columns: draft.rowLength), $0.name) < ($1.bitsPerWeight(columns: draft.rowLength), $1.name) }
    // What was asked for is the only one besides plain floats.
    let isAsked = packings.allSatisfy { type(of: $0).mustBeAskedFor || type(of: $0).id == PlainPacking.id }
    let packings = packings.filter { isAsked || !type(of: $0).mustBeAskedFor || type(of: $0).id == source.packing }
    return ([stored] + others).filter { $0.fits(columns: draft.rowLength) }.compactMap { scheme in
      packings.lazy.compactMap { packing in
        let own = packing.stored(scheme)
        return packing.holds(own.grid) && repacking(draft, own) != nil ? own : nil
      }.first
    }
  }

  /// How the codes of a draft become those of a scheme; nil if it has no codes, or its rows cannot be combined.
  func repacking(_ draft: TensorDraft, _ scheme: any Scheme) -> Repacking? {
    guard scheme.grid.kind != .float, let codes = codes(of: draft) else { return nil }
    // Rows can be reordered if no parameter spans several of them.
    guard draft.isInPlace || codes.scheme.grid.tileRows == 1 && scheme.grid.tileRows == 1 && draft.keepsRows else { return nil }
    return scheme.move(from: codes.scheme)
  }

  /// The codes of a draft's tensor, if all tensors that it is made of have codes on the same grid.
  private func codes(of draft: TensorDraft) -> (any QuantizedStorage)? {
    guard let codes = draft.tensor.storage.codes else { return nil }
    let others = draft.pieces.map { source[$0.source.name]?.storage.codes?.scheme.grid }
    return others.allSatisfy { $0 == codes.scheme.grid } ? codes : nil
  }

  /// How the inputs of a layer that keeps its codes are rounded: as in the source, if a packing of the output can say so.
  func keptInputs(of draft: TensorDraft, _ scheme: any Scheme) -> ActivationScheme? {
    let inputs = source.activations.inputs[QuantizedModule.name(ofWeight: draft.tensor.name)]?.scheme
    return inputs.flatMap { inputs in packings.contains { $0.holds(scheme.grid, inputs: inputs) } ? inputs : nil }
  }
}
