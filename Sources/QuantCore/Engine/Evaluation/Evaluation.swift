/// Which positions of a text are scored, and what precedes them.
public enum EvaluationProtocol: String, Sendable, CaseIterable {
  /// Windows of the token stream as it is; every token but a window's first is predicted.
  case windows
  /// As llama.cpp's perplexity tool does: the first token of each window is replaced by BOS if the tokenizer adds one, and only
  /// tokens in the second half of a window are predicted.
  case llamaCpp = "llama.cpp"
}

/// How to evaluate.
public struct EvaluationOptions: Sendable {
  /// Which positions are scored.
  public var `protocol`: EvaluationProtocol
  /// Tokens per window.
  public var context: Int
  /// Windows to use, from the start of the text; nil for all.
  public var windows: Int?
  /// The token that the `llama.cpp` protocol puts first; nil if the tokenizer adds no BOS.
  public var beginOfSequence: Int?
  /// What stands before and after each window that an encoder reads.
  public var frame = TokenizerData.Template(front: [], back: [])

  /// The defaults score all windows of 512 tokens.
  public init(protocol: EvaluationProtocol = .windows, context: Int = 512, windows: Int? = nil, beginOfSequence: Int? = nil) {
    self.protocol = `protocol`
    self.context = context
    self.windows = windows
    self.beginOfSequence = beginOfSequence
  }
}

/// Perplexity of a model on a text, and its KL divergence from a reference.
///
/// The text is cut into windows that do not overlap; the rest is dropped. Both models run on a batch of windows before the next
/// batch, so memory holds one batch of hidden states for each model, one block of weights, and a piece of logits.
public enum Evaluation {
  /// Tokens whose hidden states are in memory at one time (at least one window).
  static let batchTokens = 8192
  /// Logits in memory at one time, per model.
  private static let logitCount = 32 << 20

  /// Scores a text; with an encoder, compares the vectors of its windows with the reference's.
  /// - Parameters:
  ///   - tokens: the whole text, tokenized once, preceded by BOS if the tokenizer adds it and the model is no encoder.
  ///   - reference: the model to compare with; it must have the same vocabulary.
  ///   - progress: called after each batch with the number of windows done and the total.
  /// - Throws: `Failure` `evaluate.context`, `evaluate.text-short`, `evaluate.vocabulary`, `evaluate.not-finite`,
  ///   `evaluate.encoder`, `evaluate.reference`, `model.position-range` or `model.token-range`.
  public static func run(
    _ engine: Engine, tokens: [Int], options: EvaluationOptions, reference: Engine? = nil,
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
  ) throws(Failure) -> EvaluationResult {
    try check(tokens, options, for: engine.model)
    let windows = try cut(tokens, options, for: engine.model)
    if let reference, reference.model.vocabularySize != engine.model.vocabularySize {
      throw Failure(
        .data, "evaluate.vocabulary",
        "the model has a vocabulary of \(engine.model.vocabularySize) tokens, its reference one of \(reference.model.vocabularySize)",
        remedy: "Compare with the model that it was made from.")
    }
    if engine.model.head.pooling != nil { return try compareVectors(engine, windows, options, reference: reference, progress: progress) }
    try reference?.model.checkLogits(for: "a comparison of predictions")
    var scores = PositionScores()
    let batch = max(1, batchTokens / options.context)
    for first in stride(from: 0, to: windows.count, by: batch) {
      let part = Array(windows[first..<min(windows.count, first + batch)])
      let states = try scoredStates(engine, part, options)
      let referenceStates: Matrix? = if let reference { try scoredStates(reference, part, options) } else { nil }
      let targets = part.flatMap { $0[($0.count - scoredCount(options))...] }
      try score(engine, states, reference, referenceStates, targets, into: &scores)
      progress(first + part.count, windows.count)
    }
    return scores.result(options, windows: windows.count)
  }

  /// Mean KL divergence, in nats, of what a model predicts after each position from what a reference predicts there.
  /// - Parameters:
  ///   - states: hidden states of the model after its last block.
  ///   - others: those of the reference, of the same tokens.
  /// - Throws: `Failure` `evaluate.not-finite`.
  package static func divergence(
    of states: Matrix, by engine: Engine, from others: Matrix, by reference: Engine
  ) throws(Failure) -> Double {
    var scores = PositionScores()
    try score(engine, states, reference, others, [Int](repeating: 0, count: states.rows), into: &scores)
    return scores.divergences.reduce(0, +) / Double(max(1, scores.divergences.count))
  }

  static let notFinite = Failure(
    .data, "evaluate.not-finite", "the model computes values that are not finite on this text",
    remedy: "Check the weights for NaN and infinity.")

  /// Checks that a model can score a text: the text must fill a window, and the window must fit into the model.
  /// - Throws: `Failure` `evaluate.context`, `evaluate.text-short`, `evaluate.encoder`, `model.position-range`.
  public static func check(_ tokens: [Int], _ options: EvaluationOptions, for model: ModelDescription) throws(Failure) {
    _ = try cut(tokens, options, for: model)
    try model.checkPositions(options.context)
    guard model.head.pooling == nil || options.protocol == .windows else {
      throw Failure(
        .usage, "evaluate.encoder", "the protocol '\(options.protocol.rawValue)' scores predictions, and an encoder makes none",
        remedy: "Use the protocol 'windows'.")
    }
  }

  /// Predictions per window.
  private static func scoredCount(_ options: EvaluationOptions) -> Int {
    switch options.protocol {
    case .windows: options.context - 1
    case .llamaCpp: options.context - 1 - options.context / 2
    }
  }

  private static func cut(_ tokens: [Int], _ options: EvaluationOptions, for model: ModelDescription) throws(Failure) -> [[Int]] {
    if model.head.pooling != nil { return try cut(tokens, around: options) }
    guard options.context >= 2, scoredCount(options) > 0 else {
      throw Failure(
        .usage, "evaluate.context", "a window of \(options.context) tokens has nothing to predict",
        remedy: "Use a context of at least 4 tokens.")
    }
    let available = tokens.count / options.context
    let count = min(available, options.windows ?? available)
    guard count > 0 else { throw tooShort(tokens, options) }
    return (0..<count).map { window in
      var ids = Array(tokens[window * options.context..<(window + 1) * options.context])
      if options.protocol == .llamaCpp, let first = options.beginOfSequence { ids[0] = first }
      return ids
    }
  }

  /// Windows that each are a text of their own.
  private static func cut(_ tokens: [Int], around options: EvaluationOptions) throws(Failure) -> [[Int]] {
    let body = options.context - options.frame.count
    let available = body > 0 ? tokens.count / body : 0
    let count = min(available, options.windows ?? available)
    guard count > 0 else { throw tooShort(tokens, options) }
    return (0..<count).map { options.frame.around(tokens[$0 * body..<($0 + 1) * body]) }
  }

  private static func tooShort(_ tokens: [Int], _ options: EvaluationOptions) -> Failure {
    Failure(
      .data, "evaluate.text-short", "the text has \(tokens.count) tokens, fewer than a window of \(options.context)",
      remedy: "Use a longer text or a shorter context.")
  }

  /// Hidden states after the last block, window by window.
  static func states(_ engine: Engine, _ windows: [[Int]], _ options: EvaluationOptions) throws(Failure) -> Matrix {
    var hidden = try engine.embed(windows.flatMap { $0 }, sequenceLength: options.context)
    for index in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(index), hidden: &hidden, sequenceLength: options.context)
    }
    return hidden
  }

  /// The same at the positions whose next token is scored.
  private static func scoredStates(_ engine: Engine, _ windows: [[Int]], _ options: EvaluationOptions) throws(Failure) -> Matrix {
    let hidden = try states(engine, windows, options)
    let count = scoredCount(options)
    let width = hidden.columns
    var values: [Float] = []
    values.reserveCapacity(windows.count * count * width)
    for window in windows.indices {
      let last = (window + 1) * options.context - 1
      values += hidden.values[(last - count) * width..<last * width]
    }
    return Matrix(rows: windows.count * count, columns: width, values: values)
  }

  /// Scores all positions of a batch, a bounded number of logits at a time.
  private static func score(
    _ engine: Engine, _ states: Matrix, _ reference: Engine?, _ referenceStates: Matrix?, _ targets: [Int],
    into scores: inout PositionScores
  ) throws(Failure) {
    let piece = max(1, logitCount / engine.model.vocabularySize)
    for first in stride(from: 0, to: states.rows, by: piece) {
      let rows = first..<min(states.rows, first + piece)
      let logits = engine.logits(states.rows(rows))
      let referenceLogits: Matrix? =
        if let reference, let referenceStates { reference.logits(referenceStates.rows(rows)) } else { nil }
      let found = compare(logits, referenceLogits, Array(targets[rows]), parallel: engine.parallel)
      guard found.allSatisfy({ $0.loss.isFinite && $0.referenceLoss.isFinite && $0.divergence.isFinite }) else {
        throw notFinite
      }
      scores.losses += found.map(\.loss)
      guard reference != nil else { continue }
      scores.referenceLosses += found.map(\.referenceLoss)
      scores.divergences += found.map(\.divergence)
      scores.sameTop += found.count { $0.isSameTop }
    }
  }

  private struct Score {
    var loss = 0.0
    var referenceLoss = 0.0
    var divergence = 0.0
    var isSameTop = false
  }

  private static func compare(_ logits: Matrix, _ reference: Matrix?, _ targets: [Int], parallel: Parallel) -> [Score] {
    var scores = [Score](repeating: Score(), count: targets.count)
    let count = logits.columns
    scores.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(targets.count, piece: 8) { rows in
        for row in rows {
          logits.withPanel(rows: row..<row + 1) { panel in
            let x = panel.base
            let logSum = VectorKernels.logSumExp(x, count: count)
            target.base[row].loss = logSum - Double(x[targets[row]])
            reference?.withPanel(rows: row..<row + 1) { panel in
              let r = panel.base
              let referenceSum = VectorKernels.logSumExp(r, count: count)
              target.base[row].referenceLoss = referenceSum - Double(r[targets[row]])
              target.base[row].divergence = VectorKernels.divergence(r, pLogSum: referenceSum, x, qLogSum: logSum, count: count)
              target.base[row].isSameTop =
                Generator.mostLikely(UnsafeBufferPointer(start: x, count: count))
                == Generator.mostLikely(UnsafeBufferPointer(start: r, count: count))
            }
          }
        }
      }
    }
    return scores
  }
}
