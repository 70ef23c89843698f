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

  /// Nil where no method of the plan observes.
  init?(_ plan: ConversionPlan, writer: TensorWriter, registry: Registry) throws {
    guard let model = plan.model, let calibration = plan.calibration else { return nil }
    self.plan = plan
    self.writer = writer
    self.registry = registry
    modelType = Planner.modelType(of: plan.source)
    context = calibration.context
    engine = try Engine(plan.source, model: model, parallel: Parallel(threads: plan.request.threads))
    hidden = try engine.embed(calibration.windows.flatMap { $0 })
  }

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
    workspace.statistics = observe(workspace, plan.statistics, &behind)
    for method in plan.methods { result.notes += try method.transform(&workspace) }
    observeAgain(&workspace)
    for (step, tensors) in steps(planned).enumerated() {
      if plan.request.isTrueSequential, step > 1, let site = tensors.site {
        workspace.statistics.merge(observe(workspace, plan.statistics.filter { $0.key == site })) { $1 }
      }
      for index in tensors.indices {
        result.tensors.append(try writer.write(index, from: &workspace, methods: plan.methods, replaces: isQuantizedStream))
        result.written.insert(index)
      }
    }
    // Layers that read one site store the same numbers.
    var found: [CalibratedValue: [UInt8]] = [:]
    for index in plan.tensors.indices {
      guard let value = plan.tensors[index].calibrated, value.block == block else { continue }
      if found[value] == nil { found[value] = value.bytes(workspace.statistics[value.site]) }
      result.tensors.append(try writer.write(index, found: found[value]))
      result.written.insert(index)
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
      guard let id = plan.tensors[index].id, !id.isBias, workspace.matrices[id.layer] != nil else { continue }
      let scheme = plan.tensors[index].scheme
      if scheme.grid.kind != .float { workspace.schemes[id.layer] = scheme }
    }
    return workspace
  }

  /// What was asked for, at some sites of a block.
  /// - Parameter states: the hidden states in front of the block, then those behind it.
  private func observe(
    _ workspace: BlockWorkspace, _ wanted: [Site: Set<Statistic>], _ states: inout Matrix
  ) -> [Site: SiteStatistics] {
    let collector = StatisticsCollector(wanted, parallel: engine.parallel)
    engine.runBlock(workspace, hidden: &states, sequenceLength: context, observer: collector)
    return collector.statistics()
  }

  private func observe(_ workspace: BlockWorkspace, _ wanted: [Site: Set<Statistic>]) -> [Site: SiteStatistics] {
    var states = hidden
    return observe(workspace, wanted, &states)
  }

  private var mayObserveAgain: Bool { plan.statistics.values.contains { $0.contains(.histogram) } }

  /// What transforms have made void: a histogram does not follow a scaling of channels.
  private func observeAgain(_ workspace: inout BlockWorkspace) {
    let void = plan.statistics.filter { $0.value.contains(.histogram) && workspace.statistics[$0.key]?.histogram == nil }
    if !void.isEmpty { workspace.statistics.merge(observe(workspace, void)) { $1 } }
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
