/// Carries out a sealed plan.
///
/// Tensors that need no calibration stream through in tiles of rows. With a calibrated method, blocks are converted one after
/// another: load, observe, transform, round, pack, write, free. Nothing appears under the final name before everything is
/// written, synced, read back and verified.
public struct Converter: Sendable {
  let registry: Registry

  public init(_ registry: Registry) { self.registry = registry }

  /// - Parameter inspect: called with the report and the path of the output when it is complete but still has a temporary
  ///   name; if it throws, the output is discarded. Returns figures that the layout has slots for, by their ids.
  /// - Throws: `Failure`, or what `inspect` throws; then nothing has appeared under the final name.
  @discardableResult
  public func run(
    _ plan: ConversionPlan, progress: any ProgressReporter, inspect: (ConversionReport, String) throws -> [String: String] = { _, _ in [:] }
  ) throws -> ConversionReport {
    for warning in plan.warnings { progress.warn(warning) }
    let clock = ContinuousClock()
    let start = clock.now
    var report = ConversionReport()
    // The mappings know the state of their files when the plan was made.
    let mapped = Set(plan.source.mappings.map { $0.path })
    let inputs = try plan.source.mappings + plan.source.files.filter { !mapped.contains($0) }.map { try MappedFile($0) }
    try write(plan, inputs, &report, progress) { report, path in
      report.complete(plan)
      report.seconds = (clock.now - start).inSeconds
      return try inspect(report, path)
    }
    return report
  }

  private func write(
    _ plan: ConversionPlan, _ inputs: [MappedFile], _ report: inout ConversionReport, _ progress: any ProgressReporter,
    inspect: (inout ConversionReport, String) throws -> [String: String]
  ) throws {
    let request = plan.request
    let target = OutputTarget.trim(request.output)
    let identity = try RunIdentity(plan)
    func check(in work: WorkFolder?) throws(Failure) {
      try OutputTarget.check(
        plan.layout, target, force: request.force, inputs: plan.source.files,
        written: work?.holdsOutput == true ? work?.output : nil)
    }
    if !WorkFolder.exists(for: target) { try check(in: nil) }
    let work = try WorkFolder(for: target, isKept: request.resumes)
    // Damage matters only to a run that would continue.
    let found = request.resumes ? try Journal.read(work) : try? Journal.read(work)
    // A run that ended between its last steps left a complete output under its final name.
    if let found, found.isComplete, found.identity == identity,
      OutputTransaction.isNamed(plan.layout, target, hashes: found.hashes(plan.placementIndices))
    {
      progress.note("\(target) is complete; an earlier run wrote it")
      report.add(found)
      _ = try inspect(&report, plan.layout.targets(target).first ?? target)
      try OutputTransaction.syncParent(of: target)
      if !work.remove() { progress.warn(Converter.left(work.path)) }
      return
    }
    do throws(Failure) { try check(in: work) } catch {
      // An empty folder is all that is left of a run that ended with its last step.
      if !work.hasLeftovers { work.remove() }
      throw error
    }
    var log = try RunLog(plan, identity, work: work, found: found, progress: progress)
    let transaction = try OutputTransaction(
      layout: plan.layout, target: target, force: request.force, work: work, finished: log.finished, isKept: request.resumes)
    let validation = OutputValidation(plan, registry)
    do {
      try transaction.verifyEarlier()
      try write(plan, transaction, &log, &report, progress)
      try checkUnchanged(inputs)
      let path = try transaction.verify()
      try validation.check(path)
      try transaction.fill(try inspect(&report, path))
      try log.complete(transaction)
      if let path = try transaction.giveName() { progress.warn(Converter.left(path)) }
    } catch {
      // What is still being synced is also useful to the next run.
      try? log.settle()
      let isKept = log.hasRecords && (request.resumes || log.earlier != nil)
      let isRemoved = transaction.cancel(keeping: isKept)
      if let failure = error as? Failure, !isRemoved { throw failure.leaving(work) }
      if let failure = error as? Failure, isKept, failure.kind != .gate {
        throw failure.keeping(work)
      }
      throw error
    }
  }

  private static func left(_ path: String) -> String {
    "\(path) cannot be removed; remove it yourself"
  }

  private func write(
    _ plan: ConversionPlan, _ transaction: OutputTransaction, _ log: inout RunLog, _ report: inout ConversionReport,
    _ progress: any ProgressReporter
  ) throws {
    var writer = TensorWriter(plan: plan, transaction: transaction, progress: progress)
    var written: Set<Int> = []
    if let earlier = log.earlier {
      written.formUnion(earlier.tensors.keys)
      report.add(earlier)
      progress.note("continuing: \(earlier.blocks.count) blocks and \(written.count) of \(plan.tensors.count) tensors are done")
    }
    // What an earlier run did says nothing about the pace of this one.
    let earlierBytes = written.reduce(0) { $0 + plan.tensors[$1].storedBytes }
    progress.begin("convert", total: plan.layout.placements.reduce(0) { $0 + $1.byteCount } - earlierBytes)
    if var calibrated = try CalibratedConversion(plan, writer: writer, registry: registry, log: log) {
      for block in (log.earlier?.blocks.count ?? 0)..<calibrated.blockCount {
        progress.reach("convert", block: block, of: calibrated.blockCount)
        let converted = try calibrated.convert(block: block)
        let carried = calibrated.isRead(after: block) ? calibrated.carried : nil
        try log.add(block: block, converted, hidden: carried, transaction)
        written.formUnion(converted.written)
        report.add(converted)
        for index in converted.written { plan.source[plan.tensors[index].sourceName]?.storage.verbatim?.dropFromMemory() }
      }
      progress.reach("convert", block: calibrated.blockCount, of: calibrated.blockCount)
      writer.outerStatistics = try calibrated.outerStatistics()
    }
    for index in plan.tensors.indices where !written.contains(index) {
      // Tensors that correct others are written with them.
      guard plan.tensors[index].correction == nil else { continue }
      for (index, tensor) in try writer.stream(index) {
        report.tensors.append(tensor)
        try log.add(index, tensor, transaction)
      }
      plan.source[plan.tensors[index].sourceName]?.storage.verbatim?.dropFromMemory()
    }
    writer.fallbacks.finish()
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
