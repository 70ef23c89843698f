/// Converts the blocks of a model with methods that observe: one block after another is loaded, observed, transformed, rounded,
/// written and freed.
///
/// The hidden states of the calibration text in front of the next block are all that is carried from block to block.
struct CalibratedConversion {
  /// What became of one block.
  struct BlockResult {
    /// Indices of the planned tensors that were written.
    var written: Set<Int> = []
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
  /// The same of the original stream, where a method compares the two.
  private var original: Matrix?

  /// Nil where no method of the plan observes.
  init?(_ plan: ConversionPlan, writer: TensorWriter, registry: Registry) throws {
    guard let model = plan.model, let calibration = plan.calibration else { return nil }
    self.plan = plan
    self.writer = writer
    self.registry = registry
    modelType = Planner.modelType(of: plan.source)
    context = calibration.context
    let tokens = calibration.windows.flatMap { $0 }
    let parallel = Parallel(threads: plan.request.threads)
    let plain = try Engine(plan.source, model: model, parallel: parallel)
    engine = plain.with(precision: plan.request.calibration.precision)
    if plan.propagation == .quantized {
      hidden = try Engine(plan.sourceWithRoundedEmbedding, model: model, parallel: parallel).embed(tokens)
      if plan.requirements.contains(.cross) { original = try engine.embed(tokens) }
    } else {
      hidden = try engine.embed(tokens)
    }
  }

  var blockCount: Int { engine.model.parameters.blockCount }

  /// Converts the next block.
  /// - Parameter block: one more than at the last call, beginning with 0.
  mutating func convert(block: Int) throws -> BlockResult {
    var result = BlockResult()
    let planned = plan.tensors.indices.filter { plan.tensors[$0].id?.block == block && plan.tensors[$0].id?.role != .ropeFactors }
    var workspace = try load(block, planned)
    workspace.statistics = observe(workspace, at: Set(engine.model.block.sites))
    for (index, method) in plan.methods.enumerated() {
      let behind = plan.methods[(index + 1)...]
      workspace.rounderBehind = { task in
        for method in behind.reversed() {
          if let rounder = try method.rounder(for: task) { return rounder }
        }
        return nil
      }
      result.notes += try method.transform(&workspace)
    }
    for (step, tensors) in steps(planned).enumerated() {
      if plan.request.isTrueSequential, step > 1, let site = tensors.site {
        workspace.statistics[site] = observe(workspace, at: [site])[site]
      }
      for index in tensors.indices {
        result.tensors.append(try writer.write(index, from: &workspace, methods: plan.methods, replaces: isQuantizedStream))
        result.written.insert(index)
      }
    }
    // Rounded in place by now.
    if isQuantizedStream, block + 1 < blockCount { engine.runBlock(workspace, hidden: &hidden, sequenceLength: context) }
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
      let scheme = plan.tensors[index].scheme
      if scheme.grid.kind != .float { workspace.schemes[id.layer] = scheme }
    }
    return workspace
  }

  /// What the methods asked for, at some sites of a block. In the original stream the hidden states move on behind the
  /// block, in the quantized one they stay in front of it.
  private mutating func observe(_ workspace: BlockWorkspace, at sites: Set<Site>) -> [Site: SiteStatistics] {
    let collector = StatisticsCollector(plan.requirements, at: sites, parallel: engine.parallel)
    collector.precision = engine.precision
    if var original, sites.count == engine.model.block.sites.count {
      // Behind the rounded layers of a block there is no original stream any more.
      self.original = nil
      let observer = CrossObserver(collector, parallel: engine.parallel)
      engine.observe(workspace, hidden: hidden, original: &original, sequenceLength: context, observer: observer)
      self.original = original
      return observer.statistics()
    }
    if isQuantizedStream || workspace.index + 1 == blockCount {
      engine.observe(workspace, hidden: hidden, sequenceLength: context, observer: collector)
    } else {
      engine.runBlock(workspace, hidden: &hidden, sequenceLength: context, observer: collector)
    }
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
