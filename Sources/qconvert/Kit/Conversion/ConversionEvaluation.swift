import QuantCore

/// Evaluates the result of a conversion against its source. A text or a source that cannot be read fails in the initializer,
/// before the conversion.
struct ConversionEvaluation {
  private let reference: Engine
  private let tokens: [Int]
  private let options: EvaluationOptions
  private let opening: Opening
  private let plan: ConversionPlan

  /// - Throws: `Failure` if a text or the source's tokenizer cannot be read, or no family describes the source.
  init(_ settings: EvaluationSettings, _ plan: ConversionPlan, gates: [Gate], registry: Registry) throws {
    self.plan = plan
    opening = Opening(registry)
    reference = try Engine(
      plan.reference, model: opening.describe(plan.reference).givingLogits(file: plan.reference.path),
      parallel: Parallel(threads: plan.request.threads))
    let request = plan.request
    let tokenizer = try opening.tokenizer(for: plan.source, path: request.tokenizerPath, preTokenizer: request.preTokenizer)
    var options = EvaluationOptions(context: settings.context)
    options.windows = settings.windows
    try EvaluationResult.check(gates, for: reference.model)
    if reference.model.head.pooling != nil {
      options.frame = tokenizer.data.frame(begins: request.calibration.bos)
    } else {
      options.beginOfSequence = try TokenizerOptions.beginOfSequence(tokenizer, asked: request.calibration.bos)
    }
    let text = try settings.text.map { try Files.readText($0) }.joined()
    tokens = (options.beginOfSequence.map { [$0] } ?? []) + tokenizer.encode(text)
    self.options = options
    try Evaluation.check(tokens, options, for: reference.model)
  }

  /// Evaluates the output, also before it has its final name.
  /// - Parameter path: the complete output's current path.
  func run(_ path: String, _ session: Session) throws -> EvaluationResult {
    let output = try opening.open(path, format: plan.format.id, configPath: configuration)
    let checkpoint = try output.merging(plan.adapterPath(beside: path).map { [AdapterRequest(path: $0)] } ?? [], opening)
    let engine = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: plan.request.threads))
    return try Evaluation.run(engine, reference: reference, tokens: tokens, options: options, showing: session.progress())
  }

  /// A weight file without a folder has no configuration of its own and uses its source's.
  private var configuration: String? {
    guard plan.format is any WeightFormat.Type else { return nil }
    return plan.request.configPath
      ?? plan.source.companionFolder.map { Files.join($0, "config.json") }.flatMap { Files.exists($0) ? $0 : nil }
  }
}
