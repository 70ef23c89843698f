/// Runs a model on a calibration text and stores statistics of its layers' inputs, so that it need not be run again.
///
/// What is written depends on the extension of the output: importance if an importance format has that extension, else a file of
/// statistics (`StoredStatistics`).
public struct StatisticsRun: Sendable {
  /// What was written.
  public struct Report: Sendable {
    /// The text that was run.
    public var calibration: CalibrationWindows
    /// What was collected.
    public var kinds: Set<Statistic>
    /// Size of the file in bytes.
    public var size: Int
  }

  private let registry: Registry
  private let request: ConversionRequest
  private let source: Checkpoint
  private let calibration: CalibrationWindows
  private let kinds: Set<Statistic>
  private let importanceFormat: (any ImportanceFormat.Type)?
  private let engine: Engine

  /// - Parameters:
  ///   - request: input, output, text and tokenizer; `methods` are those that statistics are collected for; if empty,
  ///     everything is collected that any method asks for.
  /// - Throws: `Failure` if the model, its tokenizer or the text cannot be used, or no file can hold what a method asks for.
  public init(_ request: ConversionRequest, registry: Registry, warnings: inout [String]) throws {
    self.registry = registry
    self.request = request
    let opening = Opening(registry)
    source = try opening.open(
      request.input, format: request.fromFormat, configPath: request.configPath, tokenizerPath: request.tokenizerPath)
    let model = try opening.describe(source)
    warnings += source.cautions
    let name = Files.lastComponent(request.output).lowercased()
    importanceFormat = registry.importanceFormats.first { $0.fileExtensions.contains { name.hasSuffix("." + $0) } }
    guard importanceFormat == nil || request.methods.isEmpty else {
      throw Failure(
        .usage, "calibrate.for", "an importance matrix is the same for every method", file: request.output,
        remedy: "Leave \(setting: "for") out, or give OUT another extension to write a file of statistics.")
    }
    kinds = importanceFormat == nil ? try StatisticsRun.kinds(request, registry: registry, warnings: &warnings) : [.meanSquare]
    let tokenizer = try opening.tokenizer(for: source, path: request.tokenizerPath, preTokenizer: request.preTokenizer)
    calibration = try Observation.windows(request.calibration, tokenizer, model, &warnings)
    engine = try Engine(source, model: model, parallel: Parallel(threads: request.threads))
  }

  private static func kinds(
    _ request: ConversionRequest, registry: Registry, warnings: inout [String]
  ) throws(Failure) -> Set<Statistic> {
    guard !request.methods.isEmpty else {
      return registry.methods.reduce(into: []) { $0.formUnion($1.requirements.filter { $0.isStored }) }
    }
    var kinds: Set<Statistic> = []
    for given in request.methods {
      let method = try registry.method(given.id)
      if let missing = method.requirements.first(where: { !$0.isStored }) {
        throw Failure(
          .unsupported, "stats.not-stored", "method '\(method.id)' asks for \(missing.rawValue), which no file can hold",
          remedy: "Convert with \(setting: "calibration") instead.")
      }
      if method.requirements.isEmpty { warnings.append("method '\(method.id)' observes nothing") }
      if method.propagation != .original {
        warnings.append(
          "method '\(method.id)' prefers to observe the quantized stream, which no file can hold: "
            + "convert with --propagate original")
      }
      kinds.formUnion(method.requirements)
    }
    return kinds
  }

  /// Runs the text through one block after another.
  /// - Throws: `Failure`; then nothing has appeared under the final name.
  public func run(progress: any ProgressReporter) throws -> Report {
    let hidden = try engine.embed(calibration.windows.flatMap { $0 }, sequenceLength: calibration.context)
    progress.begin("calibrate", total: engine.model.blocks.count * calibration.tokenCount)
    let size = try importanceFormat.map { try writeImportance($0, hidden, progress) } ?? writeStatistics(hidden, progress)
    return Report(calibration: calibration, kinds: kinds, size: size)
  }

  /// - Parameter hidden: the hidden states before the block; replaced by those after it.
  private func observe(block: Int, _ hidden: inout Matrix, _ progress: any ProgressReporter) throws -> [Site: SiteStatistics] {
    let workspace = engine.loadBlock(block)
    // No file holds what enters a cache.
    let collector = StatisticsCollector(kinds, at: Set(workspace.graph.sites), parallel: engine.parallel)
    engine.runBlock(workspace, hidden: &hidden, sequenceLength: calibration.context, observer: collector)
    try collector.checkFinite("block \(block)", file: source.path)
    progress.advance("calibrate", by: calibration.tokenCount)
    return collector.statistics()
  }

  /// What the output matrix reads.
  /// - Parameter hidden: the hidden states after the last block.
  private func observeHead(_ hidden: Matrix) throws -> [Site: SiteStatistics] {
    let collector = StatisticsCollector(kinds, parallel: engine.parallel)
    engine.observeHead(hidden, observer: CrossObserver(collector, at: [], parallel: engine.parallel))
    try collector.checkFinite("the output matrix", file: source.path)
    return collector.statistics()
  }

  // MARK: - Importance

  private func writeImportance(
    _ format: any ImportanceFormat.Type, _ hidden: Matrix, _ progress: any ProgressReporter
  ) throws -> Int {
    var hidden = hidden
    let texts = request.calibration.files.isEmpty ? ["built-in"] : request.calibration.files.map { Files.lastComponent($0) }
    var importance = Importance(entries: [:], texts: texts, windows: calibration.windowCount, context: calibration.context)
    for block in 0..<engine.model.blocks.count {
      let found = try observe(block: block, &hidden, progress)
      for tensor in engine.model.tensors where tensor.id.block == block && !tensor.id.isBias {
        guard let site = engine.model.input(of: tensor.id), engine.weights.contains(tensor.id), let width = tensor.shape.last,
          let name = tensor.importanceName(format.naming, source: source.naming)
        else { continue }
        var entry = importance.entries[name] ?? .init(meanSquares: [], tokens: [])
        // The experts of a layer share a name and are adjacent; all tensors of a fused matrix read the same input.
        if !entry.tokens.isEmpty && tensor.id.expert == nil { continue }
        for _ in 0..<tensor.importanceCopies(format.naming) {
          entry.meanSquares += found[site]?.meanSquare ?? [Float](repeating: 1, count: width)
          entry.tokens.append(found[site]?.tokens ?? 0)
        }
        importance.entries[name] = entry
      }
    }
    let bytes = try format.bytes(importance)
    let layout = OutputLayout(isFolder: false, files: [.init(name: "", size: bytes.count, literals: [(0, bytes)])], placements: [])
    try OutputTransaction(layout: layout, target: request.output, force: request.force, inputs: source.files).commit()
    return bytes.count
  }

  // MARK: - Statistics

  private func writeStatistics(_ hidden: Matrix, _ progress: any ProgressReporter) throws -> Int {
    var hidden = hidden
    let blocks: [Int?] = Array(0..<engine.model.blocks.count) + (engine.model.hasOutputMatrix ? [nil] : [])
    let layout = try registry.statisticsFormat().layout(
      OutputRequest(
        source: source, model: engine.model, tokenizer: nil, tensors: blocks.map { planned(block: $0) }, presetName: "",
        provenance: provenance(), targetName: ""))
    let transaction = try OutputTransaction(layout: layout, target: request.output, force: request.force, inputs: source.files)
    for (tensor, block) in blocks.enumerated() {
      let found = try block.map { try observe(block: $0, &hidden, progress) } ?? observeHead(hidden)
      var parts: [[UInt8]] = []
      for (site, channels) in sites(block) {
        let statistics = found[site] ?? SiteStatistics(channels: channels)
        parts.append(withUnsafeBytes(of: Int64(statistics.tokens).littleEndian) { [UInt8]($0) })
        for field in fields { parts.append(field.values(of: statistics).withUnsafeBytes { [UInt8]($0) }) }
      }
      for placement in layout.placements where placement.tensor == tensor {
        try parts[placement.part].withUnsafeBytes { try transaction.write(file: placement.file, offset: placement.offset, bytes: $0) }
      }
    }
    try transaction.commit()
    return layout.totalSize
  }

  private var fields: [StatisticsField] { StatisticsField.allCases.filter { kinds.contains($0.statistic) } }

  /// The sites of a block, or outside of the blocks, each with its number of channels.
  private func sites(_ block: Int?) -> [(site: Site, channels: Int)] {
    block.map { engine.model.sites($0) } ?? [(.head, engine.model.embedding.width)]
  }

  /// All statistics of one block, or of what the output matrix reads, as the parts of one tensor.
  private func planned(block: Int?) -> PlannedTensor {
    let parts = sites(block).flatMap { site, channels in
      [StoredPart(name: StoredStatistics.name(block, site, "tokens"), shape: [1], type: .element(.i64), byteCount: 8)]
        + fields.map { field in
          let shape = field.shape(channels: channels)
          return StoredPart(
            name: StoredStatistics.name(block, site, field.rawValue), shape: shape, type: .element(.f32), byteCount: 4 * shape.reduce(1, *))
        }
    }
    return PlannedTensor(
      sourceName: "", name: block.map { "blocks.\($0)" } ?? Site.head.name, shape: [], scheme: FloatScheme.f32, packing: PlainPacking(),
      parts: parts, note: nil,
      isCopy: false)
  }

  private func provenance() -> [(key: String, value: String)] {
    let names = Statistic.allCases.filter { kinds.contains($0) }.map { $0.rawValue }
    let facts: [(key: StoredStatistics.Key, value: String)] = [
      (.version, StoredStatistics.version), (.model, ModelFingerprint.of(source, description: engine.model.canonicalText)),
      (.kinds, names.joined(separator: " ")), (.text, calibration.stored),
    ]
    return [("qconvert.version", QuantCoreInfo.version)] + facts.map { ($0.key.stored, $0.value) }
  }
}

extension StatisticsCollector {
  /// Refuses activations that are not finite.
  /// - Parameter place: where they were observed, for the message.
  /// - Throws: `Failure` `calibrate.nonfinite` that names place, site and token.
  func checkFinite(_ place: String, file: String) throws(Failure) {
    guard let nonfinite else { return }
    throw Failure(
      .data, "calibrate.nonfinite",
      "in \(place), channel \(nonfinite.channel) of \(nonfinite.site.name) is \(nonfinite.value) at calibration token "
        + "\(nonfinite.token)",
      file: file,
      remedy: "Check the weights for damage, try another text, or convert without calibration.")
  }
}
