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
    let width = model.parameters.hiddenSize
    hidden =
      try log.restoreHidden(rows: calibration.windows.count * context, columns: width)
      ?? engine.embed(calibration.windows.flatMap { $0 })
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
    workspace.statistics = try observe(workspace, at: Set(engine.model.block.sites))
    for method in plan.methods { result.notes += try method.transform(&workspace) }
    for (step, tensors) in steps(planned).enumerated() {
      if plan.request.isTrueSequential, step > 1, let site = tensors.site {
        workspace.statistics[site] = try observe(workspace, at: [site])[site]
      }
      for index in tensors.indices {
        result.tensors.append(try writer.write(index, from: &workspace, methods: plan.methods, replaces: isQuantizedStream))
        result.written.append(index)
      }
    }
    // Rounded in place by now.
    if isQuantizedStream { engine.runBlock(workspace, hidden: &hidden, sequenceLength: context) }
    return result
  }

  private var isQuantizedStream: Bool { plan.propagation == .quantized }

  private func load(_ block: Int, _ planned: [Int]) throws -> BlockWorkspace {
    var workspace = engine.loadBlock(block)
    try checkFinite(workspace)
    let (registry, modelType) = (registry, modelType)
    workspace.schemeNamed = { try registry.scheme($0, modelType: modelType) }
    for index in planned {
      guard let id = plan.tensors[index].id, !id.isBias, workspace.matrices[id.layer] != nil else { continue }
      workspace.importance[id.layer] = plan.tensors[index].importance
      let scheme = plan.tensors[index].scheme
      if scheme.grid.kind != .float { workspace.schemes[id.layer] = scheme }
    }
    return workspace
  }

  /// What the methods asked for, at some sites of a block. In the original stream the hidden states move on behind the
  /// block, in the quantized one they stay in front of it.
  private mutating func observe(_ workspace: BlockWorkspace, at sites: Set<Site>) throws -> [Site: SiteStatistics] {
    if let stored = plan.statistics {
      let observed = engine.model.sites.filter { sites.contains($0.site) }
      return try stored.statistics(block: workspace.index, sites: observed, wanted: plan.requirements)
    }
    let collector = StatisticsCollector(plan.requirements, at: sites, parallel: engine.parallel)
    if isQuantizedStream {
      var observed = hidden
      engine.runBlock(workspace, hidden: &observed, sequenceLength: context, observer: collector)
    } else {
      engine.runBlock(workspace, hidden: &hidden, sequenceLength: context, observer: collector)
    }
    try collector.checkFinite(block: workspace.index, file: plan.source.path)
    return collector.statistics()
  }

  /// The tensors of a block in the order of the forward pass, those that read one site together: a method may share work
  /// between them. Tensors that are no linear layer come first.
  private func steps(_ planned: [Int]) -> [(site: Site?, indices: [Int])] {
    let graph = engine.model.block
    func input(_ index: Int) -> Site? {
      guard let id = plan.tensors[index].id, !id.isBias else { return nil }
      return graph.input(of: id.layer)
    }
    let others: [(site: Site?, indices: [Int])] = [(nil, planned.filter { input($0) == nil })]
    return others + graph.sites.map { site in (site, planned.filter { input($0) == site }) }
  }

  private func checkFinite(_ block: BlockWorkspace) throws {
    guard !plan.request.allowNonfinite else { return }
    for tensor in plan.tensors {
      guard let id = tensor.id, id.block == block.index else { continue }
      let values = id.isBias ? block.vectors[id] : block.matrices[id.layer]?.values ?? block.vectors[id]
      guard let values, let index = values.firstIndex(where: { !$0.isFinite }) else { continue }
      throw TensorWriter.nonfinite(values[index], index: index, tensor: tensor.sourceName, file: plan.source.path)
    }
  }
}
