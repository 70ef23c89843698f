/// Measures what every candidate costs every tensor of a model (`SizeAnalysis`).
///
/// The model runs twice on the calibration text. The first time, each block's inputs are observed, its matrices are rounded with all their
/// candidates, and the errors are weighed under the inputs' Gram matrices. Between the two, noise in all tensors of one kind, some
/// neighbouring blocks at a time, shows how much such errors change the predictions. The second time, a few whole mixes are rounded and
/// their divergence is measured.
package struct SizeMeasurement {
  /// A tensor of the model with its candidates.
  package struct Subject: Sendable {
    package var id: TensorID
    package var schemes: [any Scheme]

    package init(id: TensorID, schemes: [any Scheme]) {
      self.id = id
      self.schemes = schemes
    }

    /// Noise of two sizes: small enough for its effects to add up, and as large as errors that still make sense.
    ///
    /// Each has the errors of the candidate that has nearly so many bits.
    var noises: [RoundingNoise] {
      let quantized = schemes.filter { $0.grid.kind != .float && $0.importanceNeed == .none }
      let found = [4, 2.5].compactMap { bits in
        func distance(_ scheme: any Scheme) -> Double { (scheme.bitsPerWeight(columns: 4096) - bits).magnitude }
        return quantized.min { (distance($0), $0.name) < (distance($1), $1.name) }
      }
      return found.map { RoundingNoise(scheme: $0, key: id.key) }
    }
  }

  /// Neighbouring blocks are disturbed together, so that there are at most this many groups of them.
  static let depths = 8
  /// Mixes whose divergence is measured.
  static let mixes = 10

  let source: Checkpoint
  let engine: Engine
  let rounding: CandidateRounding
  /// What methods observe besides Gram matrices.
  let statistics: Set<Statistic>
  /// The text that Gram matrices are from.
  let calibration: CalibrationWindows
  /// The text that divergences are measured on.
  let text: CalibrationWindows
  let subjects: [Subject]
  let methodNames: [String]
  let fingerprint: String
  let progress: any ProgressReporter

  /// - Parameters:
  ///   - methods: what rounds; they must not transform.
  ///   - subjects: the tensors that have a choice.
  ///   - fingerprint: of the model.
  /// - Throws: `Failure` if the model lacks tensors, or makes no predictions.
  package init(
    _ source: Checkpoint, model: ModelDescription, methods: [any QuantizationMethod], methodNames: [String],
    calibration: CalibrationWindows, text: CalibrationWindows, subjects: [Subject], fingerprint: String, threads: Int,
    progress: any ProgressReporter
  ) throws(Failure) {
    self.source = source
    let parallel = Parallel(threads: threads)
    engine = try Engine(source, model: model.givingLogits(file: source.path), parallel: parallel)
    rounding = CandidateRounding(methods: methods, parallel: parallel)
    // The original stream cannot be compared with itself.
    statistics = methods.reduce(into: Set<Statistic>([.gram])) { $0.formUnion($1.statistics) }.subtracting([.cross])
    self.calibration = calibration
    self.text = text
    self.subjects = subjects
    self.methodNames = methodNames
    self.fingerprint = fingerprint
    self.progress = progress
  }

  var model: ModelDescription { engine.model }
  var parallel: Parallel { engine.parallel }

  /// The subjects of one block.
  func subjects(in block: Int) -> [Subject] { subjects.filter { $0.id.block == block } }
  /// A subject outside of the blocks.
  func outer(_ role: TensorRole) -> Subject? { subjects.first { $0.id == TensorID(role) } }
  /// The subject whose matrix makes logits: the embedding if the two are tied.
  var head: Subject? { engine.head.flatMap { head in subjects.first { $0.id == head } } }

  package func run() throws -> SizeAnalysis {
    let blocks = model.blocks.count
    progress.begin("analyze", total: 3 * blocks * calibration.tokenCount)
    var losses: [String: Losses] = [:]
    var inputs = try engine.embed(calibration.windows.flatMap { $0 }, sequenceLength: calibration.context)
    // What methods know about the matrices outside of the blocks.
    var outer: [TensorID: SiteStatistics] = [:]
    if let subject = self.outer(.tokenEmbedding) {
      if subject.id != head?.id, rounding.methods.contains(where: { $0.roundsByStatistics }) {
        outer[subject.id] = engine.embeddingStatistics()
      }
      losses[Losses.embedding] = try embeddingLosses(subject, outer[subject.id])
    }
    for block in 0..<blocks {
      let workspace = engine.loadBlock(block)
      let found = try observe(workspace, &inputs)
      for subject in subjects(in: block) {
        if let matrix = workspace.matrices[subject.id.layer] { losses[subject.id.key] = try self.losses(of: subject, matrix, found) }
      }
      progress.advance("analyze", by: calibration.tokenCount)
    }
    if let subject = head {
      outer[subject.id] = try headStatistics(inputs)
      losses[Losses.head] = try headLosses(subject, outer[subject.id])
    }

    let effects = try self.effects(losses)
    let tensors = subjects.compactMap { tensor($0, losses, effects) }
    var analysis = SizeAnalysis(
      model: fingerprint, methods: methodNames, calibration: calibration.stored, text: text.stored, effects: effects, tensors: tensors,
      curve: [])
    analysis.curve = try curve(of: tensors, outer)
    return analysis
  }

  // MARK: Losses

  /// Mean square errors per token, summed over channels, of one use of a tensor: a tied embedding has two.
  struct Losses {
    static let embedding = "use.embedding"
    static let head = "use.head"

    /// Of each candidate.
    var candidates: [Double]
    /// Of the noise of each size.
    var noises: [Double]
    /// The output itself.
    var power: Double
  }

  /// Runs the block and collects what it reads.
  func observe(_ workspace: BlockWorkspace, _ hidden: inout Matrix) throws -> [Site: SiteStatistics] {
    let collector = StatisticsCollector(statistics, at: Set(workspace.graph.sites), parallel: parallel)
    engine.runBlock(workspace, hidden: &hidden, sequenceLength: calibration.context, observer: collector)
    try collector.checkFinite("block \(workspace.index)", file: source.path)
    return collector.statistics().supplemented(in: workspace.graph)
  }

  private func losses(of subject: Subject, _ matrix: Matrix, _ found: [Site: SiteStatistics]) throws -> Losses? {
    guard let graph = model.graph(subject.id.block ?? 0), let site = graph.input(of: subject.id.layer) else { return nil }
    // An expert that no token reached is judged by a peer's inputs: what it would cost is not known, and nothing is not safe.
    let peers = graph.sites.filter { graph.consumers(of: $0).map(\.role) == graph.consumers(of: site).map(\.role) }
    guard let own = found[site] ?? peers.compactMap({ found[$0] }).first, own.tokens > 0 else { return nil }
    let reached = Double(own.tokens - own.borrowedTokens) / Double(own.tokens)
    let rows = CandidateRounding.rows(of: matrix.rows, columns: matrix.columns) { range, destination in
      matrix.withPanel(rows: range) { destination.update(from: $0.base, count: range.count * matrix.columns) }
    }
    return try losses(
      of: subject, rows, statistics: found[site], gram: own.gram, scale: reached / Double(calibration.tokenCount))
  }

  /// - Parameter scale: what a sum over the tokens of the Gram matrix is multiplied by.
  private func losses(
    of subject: Subject, _ rows: CandidateRounding.Rows, statistics: SiteStatistics?, gram: [Float], scale: Double
  ) throws -> Losses {
    let candidates = try subject.schemes.map { scheme in
      let task = RoundingTask(id: subject.id, name: subject.id.key, scheme: scheme, statistics: statistics, parallel: parallel)
      return scale * rounding.power(try rounding.rounded(rows, task).minus(rows.weights), of: rows, gram: gram)
    }
    let noises = try subject.noises.map { scale * rounding.power(try $0(rows, parallel: parallel), of: rows, gram: gram) }
    return Losses(candidates: candidates, noises: noises, power: scale * rounding.power(rows.weights, of: rows, gram: gram))
  }

  /// The output matrix reads what the last norm makes.
  private func headStatistics(_ hidden: Matrix) throws -> SiteStatistics? {
    let collector = StatisticsCollector(statistics, parallel: parallel)
    engine.observeHead(hidden, observer: CrossObserver(collector, at: [], parallel: parallel))
    try collector.checkFinite("the output matrix", file: source.path)
    return collector.statistics()[.head]
  }

  private func headLosses(_ subject: Subject, _ found: SiteStatistics?) throws -> Losses? {
    guard let found, let shape = model.tensor(subject.id)?.shape, shape.count == 2 else { return nil }
    let rows = CandidateRounding.rows(of: shape[0], columns: shape[1]) { engine.weights.decode(subject.id, rows: $0, into: $1) }
    return try losses(of: subject, rows, statistics: found, gram: found.gram, scale: 1 / Double(max(1, found.tokens)))
  }

  /// The embedding reads one token at a time: its Gram matrix is the diagonal of the tokens' frequencies, and the rows of tokens as they
  /// occur stand for it.
  private func embeddingLosses(_ subject: Subject, _ found: SiteStatistics?) throws -> Losses? {
    guard let columns = model.tensor(subject.id)?.shape.last else { return nil }
    let tokens = calibration.windows.flatMap { $0 }
    let count = min(tokens.count, 4 * CandidateRounding.sampledRows)
    let numbers = (0..<count).map { tokens[$0 * tokens.count / count] }
    let weights = Matrix(rows: count, columns: columns) { base in
      for (row, token) in numbers.enumerated() {
        engine.weights.decode(subject.id, rows: token..<token + 1, into: base + row * columns)
      }
    }
    let rows = CandidateRounding.Rows(weights: weights, numbers: numbers, share: 1)
    func square(_ errors: Matrix) -> Double { errors.values.reduce(0) { $0 + Double($1) * Double($1) } / Double(count) }
    let candidates = try subject.schemes.map { scheme in
      square(
        try rounding.rounded(rows, RoundingTask(id: subject.id, name: subject.id.key, scheme: scheme, statistics: found)).minus(weights))
    }
    let noises = try subject.noises.map { square(try $0(rows, parallel: parallel)) }
    return Losses(candidates: candidates, noises: noises, power: square(weights))
  }

  /// What the analysis says of a tensor; nil if it was not measured.
  private func tensor(_ subject: Subject, _ losses: [String: Losses], _ effects: [SizeAnalysis.Effect]) -> SizeAnalysis.Tensor? {
    var uses: [(losses: Losses, effect: SizeAnalysis.Effect)] = []
    func use(_ key: String, _ kind: String) {
      let effect = effects.first { $0.kind == kind && ($0.blocks.map { $0.contains(subject.id.block ?? -1) } ?? (subject.id.block == nil)) }
      if let found = losses[key], let effect { uses.append((found, effect)) }
    }
    use(subject.id.key, subject.id.role.rawValue)
    if subject.id == TensorID(.tokenEmbedding) { use(Losses.embedding, TensorRole.tokenEmbedding.rawValue) }
    if subject.id == head?.id { use(Losses.head, TensorRole.output.rawValue) }
    guard let first = uses.first, let shape = model.tensor(subject.id)?.shape else { return nil }
    let candidates = subject.schemes.enumerated().map { index, scheme in
      SizeAnalysis.Candidate(
        scheme: scheme.name, bitsPerWeight: scheme.bitsPerWeight(columns: shape.last ?? 1),
        loss: first.losses.power > 0 ? max(0, first.losses.candidates[index]) / first.losses.power : 0,
        divergence: uses.reduce(0) { sum, use in
          sum + use.effect.divergence(ofLoss: use.losses.candidates[index], noise: use.losses.noises.first ?? 0)
        })
    }
    return SizeAnalysis.Tensor(
      key: subject.id.key, weights: shape.reduce(1, *),
      candidates: candidates.sorted { ($0.bitsPerWeight, $0.scheme) < ($1.bitsPerWeight, $1.scheme) })
  }
}

extension Matrix {
  /// The differences to another matrix of the same shape.
  func minus(_ other: Matrix) -> Matrix {
    Matrix(rows: rows, columns: columns, values: zip(values, other.values).map { $0 - $1 })
  }
}
