/// Converts the blocks of a model with methods that observe: one block after another is loaded, observed, transformed, rounded,
/// written and freed.
///
/// The hidden states of the calibration text in front of the next block are all that is carried from block to block.
struct CalibratedConversion {
  /// What became of one block.
  struct BlockResult {
    /// Indices of the planned tensors that were written.
    var written: [Int] = []
    /// What became of each of them.
    var tensors: [ConversionReport.TensorReport] = []
    /// What methods reported.
    var notes: [String] = []
  }

  let plan: ConversionPlan
  let writer: TensorWriter
  let engine: Engine
  private let registry: Registry
  private let modelType: ElementType
  /// Tokens of one calibration window.
  private let context: Int
  /// In front of the next block, of the stream that is observed.
  private var hidden: Matrix

  /// Nil where no method of the plan observes.
  /// - Parameter log: knows the hidden states behind the blocks that were converted before.
  init?(_ plan: ConversionPlan, writer: TensorWriter, registry: Registry, log: RunLog) throws {
    guard let model = plan.model, let calibration = plan.calibration else { return nil }
    self.plan = plan
    self.writer = writer
    self.registry = registry
    modelType = Planner.modelType(of: plan.source)
    context = calibration.context
    engine = try Engine(plan.source, model: model, parallel: Parallel(threads: plan.request.threads))
    hidden =
      try log.restoreHidden(rows: calibration.windows.count * context, columns: model.parameters.hiddenSize)
      ?? engine.embed(calibration.windows.flatMap { $0 }, sequenceLength: context)
  }

  /// What a run needs to go on behind the block that was converted last; nil where statistics are at hand.
  var carried: Matrix? { plan.statistics == nil ? hidden : nil }

  var blockCount: Int { engine.model.parameters.blockCount }

  /// Converts the next block.
  /// - Parameter block: one more than at the last call, beginning with 0.
  mutating func convert(block: Int) throws -> BlockResult {
    var result = BlockResult()
    let planned = plan.tensors.indices.filter { plan.tensors[$0].id?.block == block && plan.tensors[$0].id?.role != .ropeFactors }
    var workspace = try load(block, planned)
    var behind = hidden
    // Without a second look the states move on in place.
    if !isQuantizedStream && !mayObserveAgain { hidden = Matrix(rows: 0, columns: hidden.columns) }
    workspace.statistics = try observe(workspace, plan.observations, &behind)
    for method in plan.methods { result.notes += try method.transform(&workspace) }
    try observeAgain(&workspace)
    for (step, tensors) in steps(planned).enumerated() {
      if plan.request.isTrueSequential, step > 1, !tensors.isEmpty {
        let sites = Set(tensors.flatMap { plan.tensors[$0].pieces.compactMap { engine.model.block.input(of: $0.id.layer) } })
        workspace.statistics.merge(try observe(workspace, plan.observations.filter { sites.contains($0.key) })) { $1 }
      }
      for index in tensors {
        result.tensors.append(try writer.write(index, from: &workspace, methods: plan.methods, replaces: isQuantizedStream))
        result.written.append(index)
      }
    }
    // Layers that read one site store the same numbers.
    var found: [CalibratedValue: [UInt8]] = [:]
    for index in plan.tensors.indices {
      guard let value = plan.tensors[index].calibrated, value.block == block else { continue }
      if found[value] == nil { found[value] = value.bytes(workspace.statistics[value.site]) }
      result.tensors.append(try writer.write(index, found: found[value]))
      result.written.append(index)
    }
    if isQuantizedStream {
      // Rounded in place by now.
      engine.runBlock(workspace, hidden: &hidden, sequenceLength: context)
    } else {
      hidden = behind
    }
    return result
  }

  private var isQuantizedStream: Bool { plan.propagation == .quantized }

  private func load(_ block: Int, _ planned: [Int]) throws -> BlockWorkspace {
    var workspace = engine.loadBlock(block)
    try checkFinite(workspace)
    let (registry, modelType) = (registry, modelType)
    workspace.schemeNamed = { try registry.scheme($0, modelType: modelType) }
    for index in planned {
      let tensor = plan.tensors[index]
      for piece in tensor.pieces where !piece.id.isBias && workspace.matrices[piece.id.layer] != nil {
        workspace.activations[piece.id.layer] = tensor.activations
        workspace.importance[piece.id.layer] = tensor.importance(of: piece)
        if tensor.scheme.grid.kind != .float { workspace.schemes[piece.id.layer] = tensor.scheme }
      }
    }
    return workspace
  }

  /// What was asked for, at some sites of a block.
  /// - Parameter states: the hidden states in front of the block, then those behind it; left alone where statistics are at hand.
  private func observe(
    _ workspace: BlockWorkspace, _ wanted: [Site: Set<Statistic>], _ states: inout Matrix
  ) throws -> [Site: SiteStatistics] {
    let found: [Site: SiteStatistics]
    if let stored = plan.statistics {
      found = try stored.statistics(
        block: workspace.index, sites: engine.model.sites.filter { wanted[$0.site] != nil },
        wanted: wanted.values.reduce(into: []) { $0.formUnion($1) })
    } else {
      let collector = StatisticsCollector(wanted, parallel: engine.parallel)
      engine.runBlock(workspace, hidden: &states, sequenceLength: context, observer: collector)
      try collector.checkFinite(block: workspace.index, file: plan.source.path)
      found = collector.statistics()
    }
    // With fewer tokens than channels an expert's statistics say more about the text than about the expert.
    return found.filter { $0.value.tokens >= $0.value.channels || !engine.model.block.isOfExpert($0.key) }
  }

  private func observe(_ workspace: BlockWorkspace, _ wanted: [Site: Set<Statistic>]) throws -> [Site: SiteStatistics] {
    var states = hidden
    return try observe(workspace, wanted, &states)
  }

  private var mayObserveAgain: Bool { plan.observations.values.contains { $0.contains(.histogram) } }

  /// What transforms have made void: a histogram does not follow a scaling of channels.
  private func observeAgain(_ workspace: inout BlockWorkspace) throws {
    let void = plan.observations.filter { $0.value.contains(.histogram) && workspace.statistics[$0.key]?.histogram == nil }
    if !void.isEmpty { workspace.statistics.merge(try observe(workspace, void)) { $1 } }
  }

  /// The tensors of a block in the order of the forward pass, those that read one site together: a method may share work
  /// between them. Tensors that are no linear layer come first.
  private func steps(_ planned: [Int]) -> [[Int]] {
    let graph = engine.model.block
    func input(_ index: Int) -> Site? {
      guard let id = plan.tensors[index].id, !id.isBias else { return nil }
      return graph.input(of: id.layer)
    }
    return [planned.filter { input($0) == nil }] + graph.sites.map { site in planned.filter { input($0) == site } }
  }

  private func checkFinite(_ block: BlockWorkspace) throws {
    guard !plan.request.allowNonfinite else { return }
    for piece in plan.tensors.flatMap({ $0.pieces }) where piece.id.block == block.index {
      let values = piece.id.isBias ? block.vectors[piece.id] : block.matrices[piece.id.layer]?.values ?? block.vectors[piece.id]
      guard let values, let index = values.firstIndex(where: { !$0.isFinite }) else { continue }
      throw TensorWriter.nonfinite(values[index], index: index, tensor: piece.source.name, file: plan.source.path)
    }
  }
}
