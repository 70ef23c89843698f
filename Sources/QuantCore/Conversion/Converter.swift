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

  /// - Parameter inspect: called with the report and the path of the output while it is complete, but has only a temporary
  ///   name; what it throws discards the output.
  /// - Throws: `Failure`, or what `inspect` throws; then nothing has appeared under the final name.
  @discardableResult
  public func run(
    _ plan: ConversionPlan, progress: any ProgressReporter, inspect: (ConversionReport, String) throws -> Void = { _, _ in }
  ) throws -> ConversionReport {
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
      if var calibrated = try CalibratedConversion(plan, writer: writer, registry: registry) {
        for block in 0..<calibrated.blockCount {
          let converted = try calibrated.convert(block: block)
          written.formUnion(converted.written)
          report.add(converted)
        }
      }
      for index in plan.tensors.indices where !written.contains(index) { report.tensors.append(try writer.stream(index)) }
      try checkUnchanged(inputs)
      let path = try transaction.verify()
      report.complete(plan)
      report.seconds = (clock.now - start).inSeconds
      try inspect(report, path)
      try transaction.giveName()
    } catch {
      transaction.cancel()
      throw error
    }
    return report
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
