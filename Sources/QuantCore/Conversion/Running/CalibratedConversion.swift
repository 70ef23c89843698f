/// Converts the blocks of a model with methods that observe: one block after another is loaded, observed, transformed, rounded,
/// written and freed.
///
/// The hidden states of the calibration text before the next block are all that is carried from block to block.
struct CalibratedConversion {
  let plan: ConversionPlan
  let writer: TensorWriter
  let engine: Engine
  /// Runs the stream that is observed: in the quantized one, tables have the rows of the output.
  private let observed: Engine
  private let registry: Registry
  private let modelType: ElementType
  /// Tokens of one calibration window.
  private let context: Int
  /// Before the next block, of the stream that is observed.
  private var hidden: Matrix
  /// The same of the original stream, if a method compares the two.
  private var original: Matrix?
  /// What errors in the embedding cost, if a method rounds it by that.
  private let embeddingStatistics: SiteStatistics?

  /// Nil if nothing is observed.
  /// - Parameter log: has the hidden states after the blocks that an earlier run converted.
  init?(_ plan: ConversionPlan, writer: TensorWriter, registry: Registry, log: RunLog) throws {
    guard let model = plan.model, let calibration = plan.calibration else { return nil }
    self.plan = plan
    self.writer = writer
    self.registry = registry
    modelType = plan.source.modelType
    context = calibration.context
    let parallel = Parallel(threads: plan.request.threads)
    engine = try Engine(plan.source, model: model, parallel: parallel).with(precision: plan.request.calibration.precision)
    embeddingStatistics = plan.calibratedEmbedding == nil ? nil : engine.embeddingStatistics()
    observed =
      plan.propagation == .quantized
      ? try Engine(plan.sourceWithRoundedEmbedding(embeddingStatistics), model: model, parallel: parallel)
        .with(precision: engine.precision) : engine
    let tokens = calibration.windows.flatMap { $0 }
    let comparesStreams = plan.propagation == .quantized && plan.requirements.contains(.cross)
    if let restored = try log.restoreHidden(rows: tokens.count * (comparesStreams ? 2 : 1), columns: model.stateWidth) {
      hidden = restored
      if comparesStreams { original = hidden.splitOff(fromRow: tokens.count) }
    } else {
      hidden = try observed.embed(tokens, sequenceLength: context)
      if comparesStreams { original = try engine.embed(tokens, sequenceLength: context) }
    }
  }

  /// What a run needs to continue after the block that was converted last; nil with stored statistics.
  var carried: Matrix? {
    guard plan.statistics == nil else { return nil }
    return original.map { hidden.followed(by: $0) } ?? hidden
  }

  var blockCount: Int { engine.model.blocks.count }

  /// Whether anything reads the hidden states after a block.
  func isRead(after block: Int) -> Bool { block + 1 < blockCount || plan.calibratedHead != nil }

  /// Converts the next block.
  /// - Parameter block: one more than in the previous call, starting with the first block that is not converted yet.
  mutating func convert(block: Int) throws -> BlockResult {
    var result = BlockResult()
    let planned = plan.tensors.indices.filter { plan.tensors[$0].id?.block == block }
    var workspace = try load(block, planned)
    let behind = try observe(&workspace)
    for (index, method) in plan.methods.enumerated() {
      let following = Array(plan.methods[(index + 1)...])
      workspace.rounderBehind = { try following.rounder(for: $0) }
      result.notes += try method.transform(&workspace)
    }
    try observeAgain(&workspace)
    for (step, tensors) in steps(planned, workspace.graph).enumerated() {
      if plan.request.isTrueSequential, step > 1, !tensors.isEmpty {
        let sites = Set(tensors.flatMap { plan.tensors[$0].pieces.compactMap { engine.model.input(of: $0.id) } })
        workspace.statistics.merge(try observe(workspace, plan.observations(block: block).filter { sites.contains($0.key) })) { $1 }
      }
      for index in tensors {
        for (index, report) in try writer.write(index, from: &workspace, replaces: isQuantizedStream) {
          result.tensors.append(report)
          result.written.append(index)
        }
      }
    }
    // Layers that read the same site store the same values.
    var found: [CalibratedValue: [UInt8]] = [:]
    for index in plan.tensors.indices {
      guard let value = plan.tensors[index].calibrated, value.block == block else { continue }
      if found[value] == nil { found[value] = value.bytes(statistics(for: value.site, of: index, workspace)) }
      result.tensors.append(try writer.write(index, found: found[value]))
      result.written.append(index)
    }
    if let behind {
      hidden = behind
    } else if isQuantizedStream && isRead(after: block) {
      // The workspace holds the rounded weights by now.
      observed.runBlock(workspace, hidden: &hidden, sequenceLength: context)
    }
    return result
  }

  /// What is known about the tensors outside of the blocks that a method rounds, once all blocks are converted.
  func outerStatistics() throws -> [Int: SiteStatistics] {
    var result: [Int: SiteStatistics] = [:]
    if let embedding = plan.calibratedEmbedding { result[embedding] = embeddingStatistics }
    if let head = plan.calibratedHead { result[head] = try headStatistics() }
    return result
  }

  /// Statistics of what the output matrix reads.
  private func headStatistics() throws -> SiteStatistics? {
    if let stored = plan.statistics {
      return try stored.statistics(block: nil, sites: [(.head, engine.model.embedding.width)], wanted: plan.requirements)[.head]
    }
    let collector = collector([.head: plan.requirements])
    let observer = CrossObserver(collector, at: original == nil ? [] : [.head], parallel: engine.parallel)
    observed.observeHead(hidden, original: original, observer: observer)
    try collector.checkFinite("the output matrix", file: plan.source.path)
    return observer.statistics()[.head]
  }

  /// What was observed where a stored range is needed; for an expert that no token reached, at the site of a peer.
  private func statistics(for site: Site, of index: Int, _ workspace: BlockWorkspace) -> SiteStatistics? {
    if let own = workspace.statistics[site] { return own }
    guard let peer = workspace.statistics.widestPeer(of: site, in: workspace.graph) else { return nil }
    writer.fallbacks.warn(
      plan.tensors[index].name,
      "no calibration token reached this expert; the range of its inputs is that of another one (a longer text helps)")
    return peer
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
        if tensor.scheme.grid.kind != .float, !tensor.isTransposed { workspace.schemes[piece.id.layer] = tensor.scheme }
      }
    }
    return workspace
  }

  /// The first observation of a block: everything that was asked for.
  /// - Returns: the hidden states after the block, if the observation computes them and the next block needs them.
  private mutating func observe(_ workspace: inout BlockWorkspace) throws -> Matrix? {
    if plan.statistics != nil || isQuantizedStream && original == nil || !isRead(after: workspace.index) && original == nil {
      workspace.statistics = try observe(workspace, plan.observations(block: workspace.index))
      return nil
    }
    let collector = collector(plan.observations(block: workspace.index))
    if var original {
      self.original = nil
      let observer = CrossObserver(collector, at: Set(workspace.graph.sites), parallel: engine.parallel)
      engine.observe(workspace, original: &original, hidden: hidden, by: observed, sequenceLength: context, observer: observer)
      self.original = original
      workspace.statistics = try checked(observer.statistics(), collector, workspace)
      return nil
    }
    var states = hidden
    // If the block is not observed a second time, the states need no copy.
    if !mayObserveAgain(workspace.index) { hidden = Matrix(rows: 0, columns: hidden.columns) }
    observed.runBlock(workspace, hidden: &states, sequenceLength: context, observer: collector)
    workspace.statistics = try checked(collector.statistics(), collector, workspace)
    return states
  }

  /// What was asked for at some sites of a block. The hidden states stay those before it.
  private func observe(_ workspace: BlockWorkspace, _ wanted: [Site: Set<Statistic>]) throws -> [Site: SiteStatistics] {
    let collector = collector(wanted)
    if let stored = plan.statistics {
      let found = try stored.statistics(
        block: workspace.index, sites: engine.model.sites(workspace.index).filter { wanted[$0.site] != nil },
        wanted: wanted.values.reduce(into: []) { $0.formUnion($1) })
      return try checked(found, collector, workspace)
    }
    observed.observe(workspace, hidden: hidden, sequenceLength: context, observer: collector)
    return try checked(collector.statistics(), collector, workspace)
  }

  private func collector(_ wanted: [Site: Set<Statistic>]) -> StatisticsCollector {
    let collector = StatisticsCollector(wanted, parallel: engine.parallel)
    collector.precision = engine.precision
    collector.windowLength = context
    return collector
  }

  /// - Throws: `Failure` if activations were not finite.
  private func checked(
    _ found: [Site: SiteStatistics], _ collector: StatisticsCollector, _ workspace: BlockWorkspace
  ) throws(Failure) -> [Site: SiteStatistics] {
    try collector.checkFinite("block \(workspace.index)", file: plan.source.path)
    return found.supplemented(in: workspace.graph)
  }

  private func mayObserveAgain(_ block: Int) -> Bool { plan.observations(block: block).values.contains { $0.contains(.histogram) } }

  /// Observes again what transforms have made invalid: a histogram cannot be adjusted to scaled channels.
  private func observeAgain(_ workspace: inout BlockWorkspace) throws {
    let void = plan.observations(block: workspace.index).filter {
      $0.value.contains(.histogram) && workspace.statistics[$0.key]?.histogram == nil
    }
    if !void.isEmpty { workspace.statistics.merge(try observe(workspace, void)) { $1 } }
  }

  /// The tensors of a block in the order of the forward pass, those that read the same site together: a method may share work
  /// between them. Tensors that are not linear layers come first.
  private func steps(_ planned: [Int], _ graph: BlockGraph) -> [[Int]] {
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
      throw TensorWriter.nonfinite(
        values[index], index: index, columns: piece.shape.last ?? 1, tensor: piece.source.name, file: plan.source.path)
    }
  }
}

extension Matrix {
  /// The rows of this matrix, then those of another of the same width.
  fileprivate func followed(by other: Matrix) -> Matrix {
    Matrix(rows: rows + other.rows, columns: columns, values: values + other.values)
  }

  /// Removes the rows from `row` on and returns them.
  fileprivate mutating func splitOff(fromRow row: Int) -> Matrix {
    let rest = Matrix(rows: rows - row, columns: columns, values: Array(values[(row * columns)...]))
    self = Matrix(rows: row, columns: columns, values: Array(values[..<(row * columns)]))
    return rest
  }
}
