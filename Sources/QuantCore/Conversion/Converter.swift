/// Carries out a sealed plan.
///
/// Tensors that need no calibration stream through in tiles of rows. With a calibrated method, the blocks come one after
/// another: load, observe, transform, round, pack, write, free. Nothing is visible under the final name before everything
/// is written, synced, read back and verified.
public struct Converter: Sendable {
  /// Weights in one piece of work: small enough to stay in a core's cache, large enough to be worth a thread's while.
  static let tileWeights = 1 << 18

  let registry: Registry

  public init(_ registry: Registry) { self.registry = registry }

  /// - Throws: `Failure`; then nothing has appeared under the final name.
  public func run(_ plan: ConversionPlan, progress: any ProgressReporter) throws -> ConversionReport {
    for warning in plan.warnings { progress.warn(warning) }
    let clock = ContinuousClock()
    let start = clock.now
    var report = ConversionReport()
    // The mappings know what their files were when the plan was made from them.
    let mapped = Set(plan.source.mappings.map { $0.path })
    let inputs = try plan.source.mappings + plan.source.files.filter { !mapped.contains($0) }.map { try MappedFile($0) }
    let transaction = try OutputTransaction(
      layout: plan.layout, target: plan.request.output, force: plan.request.force, inputs: plan.source.files)
    do {
      let writer = TensorWriter(plan: plan, transaction: transaction, progress: progress)
      progress.begin("convert", total: plan.layout.placements.reduce(0) { $0 + $1.byteCount })
      var written: Set<Int> = []
      if plan.calibration != nil { try convertBlocks(plan, writer: writer, written: &written, report: &report, progress: progress) }
      for index in plan.tensors.indices where !written.contains(index) { try writer.stream(index) }
      try checkUnchanged(inputs)
      try transaction.commit()
    } catch {
      transaction.cancel()
      throw error
    }
    report.totalSize = plan.totalSize
    report.bitsPerWeight = plan.bitsPerWeight
    let errors = Dictionary(report.tensors.map { ($0.name, $0.relativeError) }, uniquingKeysWith: { first, _ in first })
    report.tensors = plan.tensors.map {
      .init(name: $0.name, scheme: $0.scheme.name, relativeError: errors[$0.name] ?? nil)
    }
    let elapsed = clock.now - start
    report.seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
    return report
  }

  private func convertBlocks(
    _ plan: ConversionPlan, writer: TensorWriter, written: inout Set<Int>, report: inout ConversionReport,
    progress: any ProgressReporter
  ) throws {
    guard let model = plan.model, let calibration = plan.calibration else { return }
    let parallel = Parallel(threads: plan.request.threads)
    let engine = try Engine(plan.source, model: model, parallel: parallel)
    let modelType = Planner.modelType(of: plan.source)
    let registry = registry
    var hidden = try engine.embed(calibration.windows.flatMap { $0 })
    for block in 0..<model.parameters.blockCount {
      let planned = plan.tensors.indices.filter { plan.tensors[$0].id?.block == block && plan.tensors[$0].id?.role != .ropeFactors }
      var workspace = engine.loadBlock(block)
      try checkFinite(workspace, plan: plan)
      workspace.schemeNamed = { try registry.scheme($0, modelType: modelType) }
      for index in planned {
        guard let id = plan.tensors[index].id, !id.isBias, workspace.matrices[id.role] != nil else { continue }
        let scheme = plan.tensors[index].scheme
        if scheme.grid.kind != .float { workspace.schemes[id.role] = scheme }
      }
      let context = calibration.context
      let isQuantized = plan.propagation == .quantized
      let collector = StatisticsCollector(plan.requirements, parallel: parallel)
      if isQuantized {
        var observed = hidden
        engine.runBlock(workspace, hidden: &observed, sequenceLength: context, observer: collector)
      } else {
        engine.runBlock(workspace, hidden: &hidden, sequenceLength: context, observer: collector)
      }
      workspace.statistics = collector.statistics()
      for method in plan.methods { report.notes += try method.transform(&workspace) }
      for (step, tensors) in Converter.steps(planned, plan: plan, graph: model.block).enumerated() {
        if plan.request.isTrueSequential, step > 1, let site = tensors.site {
          let collector = StatisticsCollector(plan.requirements, only: site, parallel: parallel)
          var observed = hidden
          engine.runBlock(workspace, hidden: &observed, sequenceLength: context, observer: collector)
          workspace.statistics[site] = collector.statistics()[site]
        }
        for index in tensors.indices {
          let error = try writer.write(index, from: &workspace, methods: plan.methods, replaces: isQuantized)
          report.tensors.append(.init(name: plan.tensors[index].name, scheme: plan.tensors[index].scheme.name, relativeError: error))
          written.insert(index)
        }
      }
      // Rounded in place by now.
      if isQuantized { engine.runBlock(workspace, hidden: &hidden, sequenceLength: context) }
    }
  }

  /// The tensors of a block in the order of the forward pass, those that read one site together: a method may share work
  /// between them. Tensors that are no linear layer come first.
  private static func steps(_ planned: [Int], plan: ConversionPlan, graph: BlockGraph) -> [(site: Site?, indices: [Int])] {
    let inputs = Dictionary(graph.linears.map { ($0.role, $0.input) }, uniquingKeysWith: { first, _ in first })
    func input(_ index: Int) -> Site? {
      guard let id = plan.tensors[index].id, !id.isBias else { return nil }
      return inputs[id.role]
    }
    let others: [(site: Site?, indices: [Int])] = [(nil, planned.filter { input($0) == nil })]
    return others + graph.sites.map { site in (site, planned.filter { input($0) == site }) }
  }

  private func checkFinite(_ block: BlockWorkspace, plan: ConversionPlan) throws {
    guard !plan.request.allowNonfinite else { return }
    for tensor in plan.tensors {
      guard let id = tensor.id, id.block == block.index else { continue }
      let values = id.isBias ? block.vectors[id] : block.matrices[id.role]?.values ?? block.vectors[id]
      guard let values, let index = values.firstIndex(where: { !$0.isFinite }) else { continue }
      throw TensorWriter.nonfinite(values[index], index: index, tensor: tensor.sourceName, file: plan.source.path)
    }
  }

  /// Detects an input that changed while it was being converted.
  private func checkUnchanged(_ inputs: [MappedFile]) throws {
    for file in inputs where file.hasChanged() {
      throw Failure(
        .io, "input.changed", "the input changed while it was being converted", file: file.path,
        remedy: "Run the conversion again.")
    }
  }
}
