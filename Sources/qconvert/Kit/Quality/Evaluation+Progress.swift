import QuantCore

extension Evaluation {
  /// Evaluates a model and shows progress.
  static func run(
    _ engine: Engine, reference: Engine?, tokens: [Int], options: EvaluationOptions, showing progress: Progress
  ) throws -> EvaluationResult {
    defer { progress.finish() }
    let available = tokens.count / max(1, options.context - options.frame.count)
    progress.begin("evaluate", total: min(available, options.windows ?? available) * options.context)
    var reported = 0
    return try run(engine, tokens: tokens, options: options, reference: reference) { done, _ in
      progress.advance("evaluate", by: (done - reported) * options.context)
      reported = done
    }
  }
}
