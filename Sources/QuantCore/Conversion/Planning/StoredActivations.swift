/// Adds the tensors that say how activations are rounded: the stored scales of inputs and caches, kept from the source if a layer
/// keeps its codes, else found by calibration.
struct StoredActivations {
  let source: Checkpoint
  let target: Target
  /// Nil: as suits the type of each scale.
  let calibrator: RangeCalibrator?
  /// The type that the model computes in, if it can hold a scale.
  private var scaleType: ElementType { FloatScheme(source.modelType)?.type ?? .f32 }

  /// - Parameters:
  ///   - cache: what was asked for keys and values; nil: as in the source.
  ///   - isCacheGiven: whether the request says anything about keys and values.
  ///   - described: gives the model if none is known and calibration must find a scale.
  /// - Returns: the tensors, each followed by those of its input and, after the last layer of an attention, its cache; and how keys
  ///   and values are rounded.
  /// - Throws: `Failure` if a scale has no place in the output, or no site to find it at.
  func callAsFunction(
    _ tensors: [PlannedTensor], cache: ActivationScheme?, isCacheGiven: Bool, model: ModelDescription?,
    described: () throws -> ModelDescription
  ) throws -> (tensors: [PlannedTensor], cache: ActivationScheme?) {
    if cache != nil, let model, !model.blocks.contains(where: { $0.cachingLayer != nil }) {
      throw Failure(
        .unsupported, "cache.no-site", "the attention of this model caches no keys and values that could be rounded", file: target.path,
        remedy: "Leave \(setting: "kv-cache") out.")
    }
    let keptCaches = tensors.map { isCacheGiven ? [] : storedCaches($0, model) }
    var result = tensors.indices.flatMap { [tensors[$0]] + storedInputs(tensors[$0]) + keptCaches[$0] }
    if cache != nil || result.contains(where: { $0.activations?.isStatic == true && storedInputs($0).isEmpty }) {
      result = try addingCalibrated(result, cache: cache, model: try model ?? described())
    }
    return (result, cache ?? (keptCaches.contains { !$0.isEmpty } ? source.activations.caches.values.first?.scheme : nil))
  }

  /// The stored scales of the inputs of a repacked layer, as tensors of the output.
  private func storedInputs(_ tensor: PlannedTensor) -> [PlannedTensor] {
    guard tensor.repacking != nil, let activations = tensor.activations, activations.isStatic,
      let input = source.activations.inputs[QuantizedModule.name(ofWeight: tensor.sourceName)], let scale = input.scale
    else { return [] }
    return inputParts(of: tensor, activations).map { part in
      PlannedTensor(part.part, part.value, scale: scale, zeroPoint: input.zeroPoint)
    }
  }

  /// The stored scales of a cache, after the last layer of its attention if that layer keeps its codes.
  private func storedCaches(_ tensor: PlannedTensor, _ model: ModelDescription?) -> [PlannedTensor] {
    guard tensor.repacking != nil, let id = tensor.id, let block = id.block, !id.isBias, model?.blocks[block].cachingLayer == id.layer,
      let scales = source.activations.caches[block]
    else { return [] }
    let attention = tensor.name.split(separator: ".").dropLast(2).joined(separator: ".")
    let parts = cacheParts(attention, scales.scheme, among: target.packings)
    return [(parts?.keys, scales.keys), (parts?.values, scales.values)].compactMap { part, scale in
      part.map { PlannedTensor($0, .scale, scale: scale, zeroPoint: 0) }
    }
  }

  /// Where the parameters of a layer's rounded input go.
  private func inputParts(
    of tensor: PlannedTensor, _ activations: ActivationScheme
  ) -> [(part: StoredPart, value: CalibratedValue.Part)] {
    guard let packing = tensor.packing as? any ActivationPacking else { return [] }
    return packing.inputParts(name: tensor.name, activations: activations, modelType: scaleType)
  }

  /// Where the scales of a cache go: as the first of these packings says that has a place for them.
  private func cacheParts(
    _ attention: String, _ scheme: ActivationScheme, among packings: [any Packing]
  ) -> (keys: StoredPart, values: StoredPart)? {
    packings.lazy.compactMap { packing in
      (packing as? any ActivationPacking)?.cacheParts(attention: attention, scheme: scheme, modelType: scaleType)
    }.first
  }

  /// How cached keys and values are rounded.
  /// - Throws: `Failure` of kind usage for an unknown name.
  static func cache(named name: String?) throws(Failure) -> ActivationScheme? {
    guard let name, name != "none" else { return nil }
    if name == "fp8" { return .fp8Static }
    guard let scheme = ActivationScheme(named: name) else {
      throw Registry.unknown("cache type", "cache.unknown", name, among: ["fp8", "int8-tensor", "int4-tensor", "none"])
    }
    return scheme
  }

  /// The planned tensors, each followed by the stored parameters of its input, and by those of the cache after the last layer of an
  /// attention.
  /// - Throws: `Failure` if they have no place in the output.
  private func addingCalibrated(
    _ tensors: [PlannedTensor], cache: ActivationScheme?, model: ModelDescription
  ) throws(Failure) -> [PlannedTensor] {
    let packings = tensors.filter { $0.scheme.grid.kind != .float }.map { $0.packing }
    var result: [PlannedTensor] = []
    for tensor in tensors {
      result.append(tensor)
      if storedInputs(tensor).isEmpty { result += try inputScales(of: tensor, model) }
      if let cache { result += try cacheScales(behind: tensor, cache, model, packings) }
    }
    return result
  }

  private func inputScales(of tensor: PlannedTensor, _ model: ModelDescription) throws(Failure) -> [PlannedTensor] {
    guard let activations = tensor.activations, activations.isStatic else { return [] }
    guard let id = tensor.id, let block = id.block, let site = model.input(of: id) else {
      throw Failure(
        .unsupported, "activations.no-site", "a stored scale can only be found for linear layers inside a block", tensor: tensor.name,
        remedy: "Give an activation scheme whose scales are computed while the model runs, such as int8-token.")
    }
    return inputParts(of: tensor, activations).map { part in
      PlannedTensor(
        part.part,
        CalibratedValue(
          block: block, site: site, scheme: activations, calibrator: calibrator, part: part.value, modelType: scaleType,
          storedType: part.part.elementType))
    }
  }

  /// Those of a cache, after the last layer of its attention.
  private func cacheScales(
    behind tensor: PlannedTensor, _ scheme: ActivationScheme, _ model: ModelDescription, _ packings: [any Packing]
  ) throws(Failure) -> [PlannedTensor] {
    guard let id = tensor.id, let block = id.block, !id.isBias, model.blocks[block].cachingLayer == id.layer else { return [] }
    let attention = tensor.name.split(separator: ".").dropLast(2).joined(separator: ".")
    let parts = cacheParts(attention, scheme, among: packings)
    guard let parts else {
      throw Failure(
        .unsupported, "cache.no-place", "the output has no place for the scales of a cache in \(scheme.name)", file: target.path,
        remedy: "Leave \(setting: "kv-cache") out, or write a folder with quantized layers: FP8 layers hold the scales of an fp8 cache, "
          + "those of compressed-tensors also of one in int8-tensor or int4-tensor.")
    }
    func planned(_ part: StoredPart, _ site: Site) -> PlannedTensor {
      PlannedTensor(
        part,
        CalibratedValue(
          block: block, site: site, scheme: scheme, calibrator: calibrator, part: .scale, modelType: scaleType,
          storedType: part.elementType))
    }
    return [planned(parts.keys, .keys), planned(parts.values, .values)]
  }
}

extension PlannedTensor {
  /// A tensor that holds one value that calibration finds.
  init(_ part: StoredPart, _ value: CalibratedValue) {
    self.init(
      sourceName: "", name: part.name, shape: part.shape, scheme: FloatScheme(value.storedType) ?? .f32, packing: PlainPacking(),
      parts: [part], note: "found by calibration", isCopy: false, calibrated: value)
  }
}

extension PlannedTensor {
  /// A tensor that holds one value of the source's record of activations.
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
