/// How activations are rounded: in which layers, in which cache, and the tensors that hold what calibration finds.
extension Planner {
  /// What was asked for the inputs of all quantized layers.
  struct InputChoice {
    /// Whether anything was asked for; otherwise presets decide.
    let isGiven: Bool
    /// nil: inputs are not rounded.
    let scheme: ActivationScheme?

    /// - Throws: `Failure` of kind usage for an unknown name.
    init(_ name: String?) throws(Failure) {
      isGiven = name != nil
      guard let name, name != "none" else {
        scheme = nil
        return
      }
      guard let found = ActivationScheme(named: name) else {
        throw Registry.unknown("activation scheme", "activations.unknown", name, among: ["none"] + ActivationScheme.names)
      }
      scheme = found
    }

    /// How the input of one layer is rounded. Only weights that are quantized themselves meet rounded inputs.
    func scheme(for tensor: PresetTensor, weights: (any Scheme)?, choice: PresetChoice, model: ModelDescription?) -> ActivationScheme? {
      guard let weights, weights.grid.kind != .float else { return nil }
      guard isGiven else { return choice.activations }
      return tensor.isBlockLinear(of: model) ? scheme : nil
    }
  }

  /// How keys and values are rounded in a cache.
  /// - Throws: `Failure` of kind usage for an unknown name.
  func cache(_ request: ConversionRequest) throws(Failure) -> ActivationScheme? {
    guard let name = request.keyValueCache, name != "none" else { return nil }
    guard name == "fp8" else { throw Registry.unknown("cache type", "cache.unknown", name, among: ["fp8", "none"]) }
    return .fp8Static
  }

  /// The planned tensors, each followed by the stored parameters of its input, and by the cache's behind the last layer of an
  /// attention.
  /// - Throws: `Failure` where no place for them is known.
  func addingCalibrated(
    _ tensors: [PlannedTensor], cache: ActivationScheme?, model: ModelDescription, source: Checkpoint, request: ConversionRequest
  ) throws(Failure) -> [PlannedTensor] {
    let modelType = FloatScheme(Planner.modelType(of: source))?.type ?? .f32
    let packings = tensors.filter { $0.scheme.grid.kind != .float }.map { $0.packing }
    var result: [PlannedTensor] = []
    for tensor in tensors {
      result.append(tensor)
      if storedInputs(tensor, source: source).isEmpty { result += try inputScales(of: tensor, model, modelType, request) }
      if let cache { result += try cacheScales(behind: tensor, cache, model, packings, modelType, request) }
    }
    return result
  }

  private func inputScales(
    of tensor: PlannedTensor, _ model: ModelDescription, _ modelType: ElementType, _ request: ConversionRequest
  ) throws(Failure) -> [PlannedTensor] {
    guard let activations = tensor.activations, activations.isStatic else { return [] }
    guard let id = tensor.id, let block = id.block, let site = model.input(of: id) else {
      throw Failure(
        .unsupported, "activations.no-site", "a stored scale can be found for linear layers inside a block only", tensor: tensor.name,
        remedy: "Give an activation scheme whose scales are computed while the model runs, such as int8-token.")
    }
    return tensor.packing.inputParts(name: tensor.name, activations: activations, modelType: modelType).map { part in
      PlannedTensor(
        part.part,
        CalibratedValue(
          block: block, site: site, scheme: activations, calibrator: request.calibrator, part: part.value, modelType: modelType,
          storedType: part.part.elementType))
    }
  }

  /// Those of a cache, behind the last layer of its attention.
  private func cacheScales(
    behind tensor: PlannedTensor, _ scheme: ActivationScheme, _ model: ModelDescription, _ packings: [any Packing], _ modelType: ElementType,
    _ request: ConversionRequest
  ) throws(Failure) -> [PlannedTensor] {
    guard let id = tensor.id, let block = id.block, !id.isBias, model.blocks[block].cachingLayer == id.layer else { return [] }
    let attention = tensor.name.split(separator: ".").dropLast(2).joined(separator: ".")
    let parts = packings.lazy.compactMap { $0.cacheParts(attention: attention, scheme: scheme, modelType: modelType) }.first
    guard let parts else {
      throw Failure(
        .unsupported, "cache.no-place", "the output has no place for the scales of a rounded cache", file: request.output,
        remedy: "Leave --kv-cache out, or write a folder with quantized layers.")
    }
    func planned(_ part: StoredPart, _ site: Site) -> PlannedTensor {
      PlannedTensor(
        part,
        CalibratedValue(
          block: block, site: site, scheme: scheme, calibrator: request.calibrator, part: .scale, modelType: modelType,
          storedType: part.elementType))
    }
    return [planned(parts.keys, .keys), planned(parts.values, .values)]
  }
}

extension PlannedTensor {
  /// A tensor that holds one number that calibration finds.
  init(_ part: StoredPart, _ value: CalibratedValue) {
    self.init(
      sourceName: "", name: part.name, shape: part.shape, scheme: FloatScheme(value.storedType) ?? .f32, packing: PlainPacking(),
      parts: [part], note: "found by calibration", isCopy: false, calibrated: value)
  }
}
