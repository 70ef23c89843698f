/// How quantized tensors move from container to container: codes and parameters are re-packed wherever the target holds their
/// grid, and weights are never rounded a second time without being asked.
extension Planner {
  /// The name that stands for the schemes in which the source's tensors are stored.
  public static let keepName = "keep"

  /// The schemes by which codes of the source can be kept in a container, the source's own first.
  /// - Returns: nothing for a tensor without codes.
  func keepers(
    of draft: TensorMapping.Draft, source: Checkpoint, packings: [any Packing]
  ) -> [any Scheme] {
    guard let stored = codes(of: draft, source: source)?.scheme else { return [] }
    // Names of groups have a free length: the one that the source has.
    let length = stored.grid.groupLength.map { "-g\($0)" } ?? "-channel"
    let names = registry.schemeProviders.flatMap { $0.schemeNames }.map { $0.replacing("-gN", with: length) }
    var seen: Set<String> = [stored.name]
    let others = names.filter { seen.insert($0).inserted }.compactMap { try? registry.scheme($0, modelType: stored.grid.scaleType) }
      .sorted { ($0.bitsPerWeight(columns: draft.rowLength), $0.name) < ($1.bitsPerWeight(columns: draft.rowLength), $1.name) }
    return ([stored] + others).filter { $0.fits(columns: draft.rowLength) }.compactMap { scheme in
      packings.lazy.compactMap { packing in
        let own = packing.stored(scheme)
        return packing.holds(own.grid) && adoption(draft, own, source: source) != nil ? own : nil
      }.first
    }
  }

  /// How the codes of a draft become those of its scheme, or nil where there are none, or its rows cannot be put together.
  func adoption(_ draft: TensorMapping.Draft, _ scheme: any Scheme, source: Checkpoint) -> Adoption? {
    guard scheme.grid.kind != .float, let codes = codes(of: draft, source: source) else { return nil }
    // Rows can change their places where no parameter spans several of them.
    guard draft.isInPlace || codes.scheme.grid.tileRows == 1 && scheme.grid.tileRows == 1 && draft.keepsRows else { return nil }
    return scheme.move(from: codes.scheme)
  }

  /// The codes of a draft's tensor, where all tensors that it is made of have codes on one grid.
  private func codes(of draft: TensorMapping.Draft, source: Checkpoint) -> (any QuantizedStorage)? {
    guard let codes = draft.tensor.storage.codes else { return nil }
    let others = draft.pieces.map { source[$0.source.name]?.storage.codes?.scheme.grid }
    return others.allSatisfy { $0 == codes.scheme.grid } ? codes : nil
  }

  /// How the inputs of a layer that is kept are rounded: as in the source, where readers of the output know that.
  func keptInputs(
    of draft: TensorMapping.Draft, _ scheme: any Scheme, source: Checkpoint, packings: [any Packing]
  ) -> ActivationScheme? {
    let inputs = source.activations.inputs[QuantizedModule.name(ofWeight: draft.tensor.name)]?.scheme
    return inputs.flatMap { inputs in packings.contains { $0.holds(scheme.grid, activations: inputs) } ? inputs : nil }
  }

  /// The stored scales of the inputs of a layer that is moved, as tensors of the output.
  func storedInputs(_ tensor: PlannedTensor, source: Checkpoint) -> [PlannedTensor] {
    guard tensor.adoption != nil, let activations = tensor.activations, activations.isStatic,
      let input = source.activations.inputs[QuantizedModule.name(ofWeight: tensor.sourceName)], let scale = input.scale
    else { return [] }
    return tensor.packing.inputParts(name: tensor.name, activations: activations, modelType: Planner.scaleType(of: source)).map { part in
      PlannedTensor(part.part, part.value, scale: scale, zeroPoint: input.zeroPoint)
    }
  }

  /// The stored scales of a cache, behind the last layer of its attention where that keeps its codes.
  func storedCaches(_ tensor: PlannedTensor, source: Checkpoint, model: ModelDescription?, packings: [any Packing]) -> [PlannedTensor] {
    guard tensor.adoption != nil, let id = tensor.id, let block = id.block, !id.isBias, model?.blocks[block].cachingLayer == id.layer,
      let scales = source.activations.caches[block]
    else { return [] }
    let attention = tensor.name.split(separator: ".").dropLast(2).joined(separator: ".")
    let modelType = Planner.scaleType(of: source)
    let parts = packings.lazy.compactMap { $0.cacheParts(attention: attention, scheme: .fp8Static, modelType: modelType) }.first
    return [(parts?.keys, scales.keys), (parts?.values, scales.values)].compactMap { part, scale in
      part.map { PlannedTensor($0, .scale, scale: scale, zeroPoint: 0) }
    }
  }

  private static func scaleType(of source: Checkpoint) -> ElementType { FloatScheme(modelType(of: source))?.type ?? .f32 }
}

extension PlannedTensor {
  /// A tensor that holds one number of the source's record of activations.
  fileprivate init(_ part: StoredPart, _ value: CalibratedValue.Part, scale: Float, zeroPoint: Int) {
    let type = part.elementType ?? .f32
    let bytes =
      value == .zeroPoint
      ? [UInt8(truncatingIfNeeded: zeroPoint)] : NumberConversion.bytes(of: [value.value(scale: scale, zeroPoint: zeroPoint)], as: type)
    self.init(
      sourceName: "", name: part.name, shape: part.shape, scheme: FloatScheme(type) ?? .f32, packing: PlainPacking(), parts: [part],
      note: "re-packed", isCopy: false, constant: bytes)
  }
}
