/// Builds the simulation that a request asks for, for one model.
public struct SimulationBuilder {
  private let engine: Engine
  private let checkpoint: Checkpoint
  private let registry: Registry
  private let calibrator: RangeCalibrator
  private var model: ModelDescription { engine.model }

  /// - Parameters:
  ///   - engine: of the checkpoint, without a simulation.
  ///   - calibrator: how the ranges of static schemes are found.
  public init(_ engine: Engine, checkpoint: Checkpoint, registry: Registry, calibrator: RangeCalibrator = .minMax) {
    self.engine = engine
    self.checkpoint = checkpoint
    self.registry = registry
    self.calibrator = calibrator
  }

  /// - Parameter windows: called if scales must be found on calibration text: token ids, all windows of the same length.
  /// - Throws: `Failure` `simulate.file`, `simulate.container` or `simulate.no-cache` if the request does not fit the checkpoint.
  public func simulation(
    _ request: SimulationRequest, windows: () throws -> [[Int]]
  ) throws -> Simulation {
    var simulation = Simulation()
    var schemes: [TensorID: ActivationScheme] = [:]
    switch request.inputs {
    case .recorded: try addRecord(to: &simulation)
    case .program(let name): try addRounding(of: Client(named: name, registry).profile, to: &simulation)
    case .preset(let name): schemes = try addPreset(name, to: &simulation)
    case .activations(let scheme):
      for tensor in blockLinears { schemes[tensor.id] = scheme }
    case .split(let threshold): try addSplit(threshold, to: &simulation)
    case nil: break
    }
    if request.keys != nil || request.values != nil, model.blocks.allSatisfy({ $0.caches.isEmpty }) {
      throw Failure(
        .unsupported, "simulate.no-cache", "no block of this model caches keys and values that could be rounded", file: checkpoint.path,
        remedy: "Leave the cache out of \(setting: "simulate").")
    }
    let ranges = try observe(schemes, request, windows)
    for (weight, scheme) in schemes {
      guard let block = weight.block, let site = model.input(of: weight) else { continue }
      simulation.inputs[weight] = rounding(scheme, ranges[block]?[site])
    }
    for (index, block) in model.blocks.enumerated() {
      for place in block.caches {
        guard let (cache, site) = request.rounding(at: place) else { continue }
        // Instead of what the inputs' source says of the same values.
        simulation.caches[index]?[place.site] = nil
        simulation.caches[index, default: [:]][site] = rounding(cache, place, ranges[index]?[site])
      }
    }
    return simulation
  }

  private func rounding(_ scheme: ActivationScheme, _ statistics: SiteStatistics?) -> any ValueRounding {
    guard scheme.isStatic, let statistics else { return ActivationRounding(scheme) }
    if scheme.granularity == .channel {
      let ranges = calibrator.channelRanges(of: statistics, for: scheme, parallel: engine.parallel) ?? []
      let isFinite = !ranges.isEmpty && ranges.allSatisfy { $0.minimum.isFinite && $0.maximum.isFinite }
      return isFinite ? ChannelRounding(scheme, ranges: ranges) : ActivationRounding(scheme)
    }
    guard let range = calibrator.range(of: statistics, for: scheme), range.minimum.isFinite, range.maximum.isFinite else {
      return ActivationRounding(scheme)
    }
    return ActivationRounding(scheme, minimum: range.minimum, maximum: range.maximum)
  }

  private func rounding(_ cache: SimulationRequest.Cache, _ place: CacheSite, _ statistics: SiteStatistics?) -> any ValueRounding {
    switch cache {
    case .perHead(let element): rounding(ActivationScheme(element, .group(place.headSize)), statistics)
    case .scheme(let scheme): rounding(scheme, statistics)
    case .float(let type): FloatRounding(type)
    }
  }

  /// The weights of the linear layers of blocks, as far as the checkpoint has them.
  private var blockLinears: [ModelTensor] {
    model.tensors.filter { tensor in
      !tensor.id.isBias && tensor.shape.count == 2 && model.input(of: tensor.id) != nil
        && tensor.name(checkpoint.naming).flatMap { checkpoint[$0] } != nil
    }
  }

  // MARK: Sources

  private func addRecord(to simulation: inout Simulation) throws(Failure) {
    let record = checkpoint.activations
    guard !record.isEmpty else {
      throw Failure(
        .usage, "simulate.file", "the checkpoint does not say how activations are rounded", file: checkpoint.path,
        remedy: "Name what to simulate, for example \(setting: "simulate") int8-token.")
    }
    for tensor in model.tensors {
      guard let name = tensor.name(checkpoint.naming), name.hasSuffix(".weight"),
        let input = record.inputs[String(name.dropLast(".weight".count))]
      else { continue }
      let stored = input.scale.map { ActivationRounding.Parameters(scale: $0, zeroPoint: input.zeroPoint) }
      simulation.inputs[tensor.id] = ActivationRounding(input.scheme, stored: stored)
    }
    for (block, scales) in record.caches {
      simulation.caches[block] = [
        .keys: ActivationRounding(scales.scheme, stored: .init(scale: scales.keys)),
        .values: ActivationRounding(scales.scheme, stored: .init(scale: scales.values)),
      ]
    }
  }

  /// Adds the rounding that a client does for the type of each weight.
  private func addRounding(of program: any ClientProfile.Type, to simulation: inout Simulation) throws(Failure) {
    guard program.formats.contains(checkpoint.format) else {
      let formats = program.formats.joined(separator: " or ")
      throw Failure(
        .usage, "simulate.container", "\(program.id) does not load format '\(checkpoint.format)'", file: checkpoint.path,
        remedy: "Convert the model to \(formats) first.")
    }
    for weight in blockLinears.map(\.id) + [engine.head].compactMap({ $0 }) {
      guard let tensor = model.tensor(weight).flatMap({ $0.name(checkpoint.naming).flatMap { checkpoint[$0] } }) else {
        continue
      }
      // 16-bit weights are multiplied with inputs of the same type.
      let type = tensor.storage.elementType
      let plain: FloatRounding? = if let type, type == .f16 || type == .bf16 { FloatRounding(type) } else { nil }
      simulation.inputs[weight] = tensor.storage.inputRounding ?? plain
    }
  }

  /// - Returns: the activation schemes of the preset.
  private func addPreset(_ name: String, to simulation: inout Simulation) throws -> [TensorID: ActivationScheme] {
    let tensors = blockLinears
    let modelType = checkpoint.modelType
    let choices =
      registry.preset(name)?.choose(
        tensors.map { PresetTensor(name: $0.name(checkpoint.naming) ?? "", shape: $0.shape, isQuantizable: true, id: $0.id) }, model: model)
      ?? []
    var activations: [TensorID: ActivationScheme] = [:]
    for (tensor, choice) in zip(tensors, choices) {
      activations[tensor.id] = choice.activations
      guard let scheme = choice.scheme, isUnquantized(tensor) else { continue }
      simulation.weights[tensor.id] = try registry.scheme(scheme, modelType: modelType)
    }
    return activations
  }

  private func addSplit(_ threshold: Float, to simulation: inout Simulation) throws {
    for tensor in blockLinears {
      simulation.inputs[tensor.id] = OutlierSplit(threshold: threshold)
      guard isUnquantized(tensor) else { continue }
      simulation.weights[tensor.id] = try registry.scheme(SimulationRequest.splitName, modelType: checkpoint.modelType)
    }
  }

  private func isUnquantized(_ tensor: ModelTensor) -> Bool {
    tensor.name(checkpoint.naming).flatMap { checkpoint[$0] }?.storage.elementType?.isFloat == true
  }

  // MARK: Calibration

  /// Observes what the calibrator needs for static schemes, of the model as it is stored.
  private func observe(
    _ inputs: [TensorID: ActivationScheme], _ request: SimulationRequest, _ text: () throws -> [[Int]]
  ) throws -> [Int: [Site: SiteStatistics]] {
    var wanted: [Int: [Site: Set<Statistic>]] = [:]
    for (weight, scheme) in inputs where scheme.isStatic {
      guard let block = weight.block, let site = model.input(of: weight) else { continue }
      wanted[block, default: [:]][site, default: []].formUnion(calibrator.requirements(for: scheme))
    }
    for (index, block) in model.blocks.enumerated() {
      for (cache, site) in block.caches.compactMap({ request.rounding(at: $0) }) {
        guard let scheme = cache.observed else { continue }
        wanted[index, default: [:]][site, default: []].formUnion(calibrator.requirements(for: scheme))
      }
    }
    guard !wanted.isEmpty else { return [:] }
    let windows = try text()
    let length = max(1, windows.first?.count ?? 1)
    var hidden = try engine.embed(windows.flatMap { $0 }, sequenceLength: length)
    var ranges: [Int: [Site: SiteStatistics]] = [:]
    for block in model.blocks.indices {
      let collector = StatisticsCollector(wanted[block] ?? [:], parallel: engine.parallel)
      collector.windowLength = length
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: length, observer: collector)
      ranges[block] = collector.statistics()
    }
    return ranges
  }
}
