/// Runs a model on the calibration text, and asks a method how sensitive the matrices of its blocks are.
struct SensitivityMeasurement {
  private let engine: Engine
  private let method: any QuantizationMethod
  private let statistics: Set<Statistic>
  private let stored: StoredStatistics?
  private let calibration: CalibrationWindows?
  private let wanted: Set<TensorID>
  private let precision: ProductPrecision
  private let file: String

  /// - Parameters:
  ///   - statistics: what the method observes, in the original stream.
  ///   - stored: statistics that were collected earlier; nil: the model runs on the text.
  ///   - wanted: the matrices in question.
  /// - Throws: `Failure` if the model lacks tensors.
  init(
    _ source: Checkpoint, model: ModelDescription, method: any QuantizationMethod, statistics: Set<Statistic>, stored: StoredStatistics?,
    calibration: CalibrationWindows?, wanted: Set<TensorID>, precision: ProductPrecision, threads: Int
  ) throws(Failure) {
    engine = try Engine(source, model: model, parallel: Parallel(threads: threads)).with(precision: precision)
    self.method = method
    self.statistics = statistics
    self.stored = stored
    self.calibration = calibration
    self.wanted = wanted
    self.precision = precision
    file = source.path
  }

  /// - Returns: what the method says of each matrix in question that reads a site.
  /// - Throws: `Failure` of the method, or `calibrate.nonfinite`.
  func run(_ progress: any ProgressReporter) throws -> [TensorID: Double] {
    let model = engine.model
    var result: [TensorID: Double] = [:]
    var hidden: Matrix?
    if stored == nil, let calibration {
      hidden = try engine.embed(calibration.windows.flatMap { $0 }, sequenceLength: calibration.context)
      progress.begin("rank", total: model.blocks.count * calibration.tokenCount)
    }
    for block in model.blocks.indices {
      let workspace = engine.loadBlock(block)
      let found = try observe(workspace, &hidden)
      for (layer, matrix) in workspace.matrices {
        let id = TensorID(layer, block: block)
        guard wanted.contains(id), let site = workspace.graph.input(of: layer),
          let own = found[site] ?? found.widestPeer(of: site, in: workspace.graph)
        else { continue }
        result[id] = try method.sensitivity(of: SensitivityTask(id: id, matrix: matrix, statistics: own, parallel: engine.parallel))
      }
      progress.advance("rank", by: calibration?.tokenCount ?? 0)
    }
    return result
  }

  /// - Parameter hidden: the hidden states before the block; replaced by those after it. Nil if the model does not run.
  private func observe(_ workspace: BlockWorkspace, _ hidden: inout Matrix?) throws -> [Site: SiteStatistics] {
    if let stored {
      return try stored.statistics(block: workspace.index, sites: engine.model.sites(workspace.index), wanted: statistics)
    }
    guard var states = hidden, let calibration else { return [:] }
    hidden = nil
    let collector = StatisticsCollector(statistics, at: Set(workspace.graph.sites), parallel: engine.parallel)
    collector.precision = precision
    engine.runBlock(workspace, hidden: &states, sequenceLength: calibration.context, observer: collector)
    try collector.checkFinite("block \(workspace.index)", file: file)
    hidden = states
    return collector.statistics().supplemented(in: workspace.graph)
  }
}
