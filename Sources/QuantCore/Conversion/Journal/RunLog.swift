/// Writes the journal of a run, and continues that of an earlier one.
struct RunLog {
  /// What an earlier run finished; nil if this run starts from the beginning.
  let earlier: Journal.Contents?
  private let plan: ConversionPlan
  private let work: WorkFolder
  /// Indices into the layout's placements, by tensor and part.
  private let placements: [[Int]]
  /// Tensors that are written but not yet recorded, and their size in bytes.
  private var pending: [Journal.Tensor] = []
  private var pendingBytes = 0
  private var recorded = ContinuousClock.now
  /// Tensors that are being synced to the disk, and are recorded once they are there.
  private var syncing: (tensors: [Journal.Tensor], sync: BackgroundSync)?

  /// Bytes and time after which tensors that stream through are synced and recorded: often enough to lose little, rarely
  /// enough to take no noticeable time.
  private static let interval = (bytes: 256 << 20, time: Duration.seconds(10))

  /// - Parameters:
  ///   - work: of an output path that has passed `OutputTarget.check`.
  ///   - found: what is recorded there.
  /// - Throws: `Failure` `resume.changed` or `resume.damaged`; `output.unfinished` if finished blocks of a calibrated run would be lost.
  init(
    _ plan: ConversionPlan, _ identity: RunIdentity, work: WorkFolder, found: Journal.Contents?,
    progress: any ProgressReporter
  ) throws(Failure) {
    self.plan = plan
    self.work = work
    placements = plan.placementIndices
    // What is complete is only given its name, whatever ended the run that did not come to it.
    let isComplete =
      !plan.request.force && found?.isComplete == true && found?.identity == identity
      && work.holdsOutput
    // A journal that is complete without an output has nothing to continue from: the output was moved away.
    let isSpent = found?.isComplete == true && !work.holdsOutput
    if plan.request.resumes && !isSpent || isComplete {
      earlier = try RunLog.continued(found, identity, plan, work)
    } else {
      earlier = nil
      if work.hasLeftovers, !plan.request.force, !isSpent, let found, !found.blocks.isEmpty {
        throw Failure(
          .cannotCreate, "output.unfinished", "an unfinished run has converted \(found.blocks.count) blocks", file: plan.request.output,
          remedy: "Give \(setting: "resume") and the options of that run to continue it, or \(setting: "force") to begin again.")
      }
      if work.hasLeftovers { progress.note("removed what an unfinished run had written of \(plan.request.output)") }
    }
    if let earlier {
      hasRecords = !earlier.tensors.isEmpty
      try work.truncate(to: earlier.length)
    } else {
      do throws(Failure) {
        try work.clear()
        try work.append(Journal.line(.object([.init("run", identity.json)])))
      } catch {
        throw work.remove() ? error : error.leaving(work)
      }
    }
  }

  private static func continued(
    _ found: Journal.Contents?, _ identity: RunIdentity, _ plan: ConversionPlan, _ work: WorkFolder
  ) throws(Failure) -> Journal.Contents? {
    guard var found else { return nil }
    try identity.check(earlier: found.identity, target: plan.request.output)
    for tensor in found.tensors.values {
      guard plan.tensors.indices.contains(tensor.index), tensor.hashes.count == plan.tensors[tensor.index].parts.count else {
        throw Journal.damaged(work)
      }
    }
    // A tensor that is missing from its block would be rounded without calibration.
    let blocks =
      found.blocks.isEmpty
      ? [:] : Dictionary(grouping: plan.tensors.indices) { plan.tensors[$0].block }
    for block in found.blocks {
      guard block.index < plan.model?.blocks.count ?? 0,
        Set(block.tensors.map(\.index)) == Set(blocks[block.index] ?? [])
      else {
        throw Journal.damaged(work)
      }
    }
    // What corrects a tensor is made with it: if one of them is missing, all are made again.
    for (target, factors) in plan.corrections {
      let together = [target] + factors
      if !together.allSatisfy({ found.tensors[$0] != nil }) { for index in together { found.tensors[index] = nil } }
    }
    return found
  }

  /// Hashes of what earlier runs wrote, by placement.
  var finished: [Int: StreamHash.Digest] { earlier.map { $0.hashes(plan.placementIndices) } ?? [:] }

  /// Whether anything is recorded that a later run could continue from.
  private(set) var hasRecords = false

  // MARK: - Recording

  /// Adds a tensor that streamed through. It is recorded later, so that nothing waits for the disk.
  mutating func add(_ index: Int, _ report: ConversionReport.TensorReport, _ transaction: OutputTransaction) throws(Failure) {
    pending.append(try entry(index, report, transaction))
    pendingBytes += plan.tensors[index].storedBytes
    if syncing?.sync.isOver == true { try settle() }
    guard syncing == nil else { return }
    if pendingBytes >= RunLog.interval.bytes || ContinuousClock.now - recorded >= RunLog.interval.time { beginSync(transaction) }
  }

  /// Records a block with its tensors and the hidden states after it.
  mutating func add(
    block: Int, _ result: BlockResult, hidden: Matrix?, _ transaction: OutputTransaction
  ) throws(Failure) {
    try settle()
    let tensors = try zip(result.written, result.tensors).map { (index, report) throws(Failure) in try entry(index, report, transaction) }
    let hash = try hidden.map { matrix throws(Failure) in try save(matrix, behind: block) }
    try transaction.sync()
    try work.append(Journal.line(Journal.Block(index: block, hidden: hash, notes: result.notes, tensors: tensors).json))
    hasRecords = true
    recorded = ContinuousClock.now
  }

  /// Records that the output is complete and verified.
  mutating func complete(_ transaction: OutputTransaction) throws(Failure) {
    try settle()
    if !pending.isEmpty { beginSync(transaction) }
    try settle()
    try work.append(Journal.line(.object([.init("complete", .bool(true))])))
  }

  private func entry(
    _ index: Int, _ report: ConversionReport.TensorReport, _ transaction: OutputTransaction
  ) throws(Failure) -> Journal.Tensor {
    let hashes = try placements[index].map { place throws(Failure) in try transaction.digest(place) }
    return Journal.Tensor(index: index, hashes: hashes, report: report)
  }

  private mutating func beginSync(_ transaction: OutputTransaction) {
    syncing = (pending, BackgroundSync { () throws(Failure) in try transaction.sync() })
    pending = []
    pendingBytes = 0
  }

  /// Waits for the disk and records what has arrived there. Must be called before a log is discarded whose run may be continued.
  mutating func settle() throws(Failure) {
    guard let (tensors, sync) = syncing else { return }
    syncing = nil
    try sync.wait()
    try work.append(tensors.flatMap { Journal.line($0.json) })
    hasRecords = true
    recorded = ContinuousClock.now
  }

  // MARK: - Hidden states

  /// Two files alternate: the one that the journal names is never written to.
  private func path(behind block: Int) -> String { work.file("hidden-\(block % 2)") }

  private func save(_ hidden: Matrix, behind block: Int) throws(Failure) -> StreamHash.Digest {
    guard let hash = StreamHash() else {
      throw Failure(.io, "io.memory", "out of memory", file: work.path)
    }
    let file = try work.makeFile("hidden-\(block % 2)", size: hidden.values.count * 4)
    let failure = hidden.values.withUnsafeBytes { bytes -> Failure? in
      hash.update(bytes)
      do throws(Failure) { try file.write(bytes, at: 0) } catch { return error }
      return nil
    }
    if let failure { throw failure }
    try file.sync()
    return hash.digest()
  }

  /// The hidden states after the last recorded block, or nil if no block was recorded.
  func restoreHidden(rows: Int, columns: Int) throws(Failure) -> Matrix? {
    guard let last = earlier?.blocks.last, let expected = last.hidden, let hash = StreamHash() else { return nil }
    let bytes = try MappedFile(path(behind: last.index)).contents
    bytes.withUnsafeBytes { hash.update($0) }
    guard bytes.count == rows * columns * 4, hash.digest() == expected else { throw Journal.damaged(work) }
    let values = bytes.withUnsafeBytes { [Float]($0.bindMemory(to: Float.self)) }
    return Matrix(rows: rows, columns: columns, values: values)
  }
}
