import ArgumentParser
import Logging
import QuantCore

/// `qconvert eval MODEL --text FILE`: perplexity, and the divergence from a reference.
struct Evaluate: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "eval",
    abstract: "Measure perplexity on a text, and KL divergence from a reference model; of an encoder, compare vectors.",
    discussion: """
      The protocol 'windows' predicts every token of a window but the first. 'llama.cpp' predicts the second \
      half of each window, as llama-perplexity does, so that the figures can be compared.

      An encoder predicts nothing. Its vectors of the windows are compared with those of --reference: their cosine, \
      and the rank correlation of the similarities of all pairs.

      EXAMPLES
        qconvert eval model.gguf --text test.txt
        qconvert eval model.gguf --text test.txt --reference model/ --json
        qconvert eval model/ --text test.txt --reference model/ --simulate w8a8,kv=fp8
        qconvert eval out/ --lora out/adapter --text test.txt --reference model/
        qconvert eval encoder.gguf --text test.txt --reference encoder/ --context 128
      """)

  @Argument(help: ArgumentHelp("Model to evaluate.", valueName: "MODEL"))
  var model: String

  @Option(help: ArgumentHelp("Read the text to predict from FILE.", valueName: "FILE"))
  var text: String

  @Option(help: ArgumentHelp("Compare with this model, usually the one that was quantized.", valueName: "MODEL"))
  var reference: String?

  @Option(name: .customLong("protocol"), help: "Choose which tokens are predicted.")
  var scoring = ProtocolChoice.windows

  @Option(help: ArgumentHelp("Use N tokens per window.", valueName: "N"))
  var context = 512

  @Option(help: ArgumentHelp("Evaluate on N windows from the start of the text. (default: all)", valueName: "N"))
  var windows: Int?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Exit with code 10 if this condition holds: 'kld.mean > 0.02'; repeatable.", valueName: "GATE"))
  var failIf: [String] = []

  @OptionGroup var simulation: SimulationOptions
  @OptionGroup var options: ModelOptions
  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let threads = try global.threadCount()
    let gates = try failIf.map { try Gate($0) }
    try Gate.check(
      gates, measures: { key in reference != nil || !EvaluationResult.comparisonKeys.contains(key) },
      remedy: "Give --reference MODEL.")
    var settings = EvaluationOptions(
      protocol: scoring.value, context: try WholeNumber.check(context, "--context", in: 2...1_048_576))
    if let windows { settings.windows = try WholeNumber.check(windows, "--windows", in: 1...1_000_000_000) }
    let request = try simulation.request(registry)
    var (checkpoint, engine, tokenizer) = try options.open(model, registry: registry, threads: threads)
    session.warn(about: checkpoint)
    let referenceEngine = try reference.map { try Evaluate.engine($0, registry: registry, session, threads: threads) }
    try EvaluationResult.check(gates, for: engine.model)
    if engine.model.head.pooling != nil {
      settings.frame = tokenizer.data.frame(begins: options.text.bos.value)
    } else {
      settings.beginOfSequence = try options.text.beginOfSequence(tokenizer)
    }
    var tokens = tokenizer.encode(try Files.readText(text))
    if let first = settings.beginOfSequence { tokens.insert(first, at: 0) }
    if let request {
      engine.simulation = try simulation.simulation(request, engine, checkpoint: checkpoint, registry: registry, session.log) { tokenizer }
    } else if !checkpoint.activations.isEmpty {
      session.log.notice("clients of this checkpoint round its activations; this evaluation does not (--simulate file does)")
    }
    let result = try Evaluation.run(engine, reference: referenceEngine, tokens: tokens, options: settings, showing: session.progress())
    let measurements = Measurements(
      byteCount: try checkpoint.files.reduce(0) { try $0 + MappedFile($1).count },
      bitsPerWeight: CheckpointFacts(checkpoint, Opening(registry)).bitsPerWeight, evaluation: result)
    let failure = Gate.failure(of: gates, measurements)
    let kept = engine.simulation?.keptColumns(of: engine.model).map { layers in
      layers.map { KeptColumns(layer: $0.weight.name(checkpoint.naming) ?? $0.weight.id.role.rawValue, columns: $0.columns, of: $0.of) }
    }
    let document = JSONOutput.document(Evaluate.members(result, request, engine.simulation, kept), failure)
    if !session.isJSON { try session.console.data(Evaluate.text(result, request, engine.simulation, kept)) }
    if let failure { throw Rejection(failure: failure, document: document) }
    if session.isJSON { try session.answer(document, text: "") }
  }

  /// The reference needs no tokenizer: it runs on the same tokens.
  private static func engine(_ path: String, registry: Registry, _ session: Session, threads: Int) throws -> Engine {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path)
    session.warn(about: checkpoint)
    return try Engine(
      checkpoint, model: opening.describe(checkpoint).givingLogits(file: checkpoint.path), parallel: Parallel(threads: threads))
  }

  // MARK: Output

  private static func members(
    _ result: EvaluationResult, _ request: SimulationRequest?, _ simulation: Simulation?, _ kept: [KeptColumns]?
  ) -> [JSON.Member] {
    guard let request, let simulation else { return result.members() }
    return result.members(
      simulated: [
        .init("simulated", .string(request.text)), .init("simulated.weights", .int(simulation.weights.count)),
        .init("simulated.inputs", .int(simulation.inputs.count)), .init("simulated.caches", .int(simulation.caches.count)),
      ] + (kept.map { [.init("simulated.kept", .array($0.map(\.document)))] } ?? []))
  }

  /// Columns of a layer's input that stayed in half precision.
  struct KeptColumns {
    let layer: String
    let columns: [Int]
    /// All columns of the input.
    let of: Int

    var document: JSON {
      .object([.init("layer", .string(layer)), .init("columns", JSONOutput.ints(columns)), .init("of", .int(of))])
    }
  }

  /// How many columns of how many layers were kept.
  private static func text(_ layers: [KeptColumns]) -> String {
    guard let most = layers.max(by: { $0.columns.count < $1.columns.count }) else { return "none" }
    let columns = layers.reduce(0) { $0 + $1.columns.count }
    return "\(columns.grouped) in \(layers.count.grouped) layers, at most \(most.columns.count.grouped) of \(most.of.grouped) in one"
  }

  static func text(
    _ result: EvaluationResult, _ request: SimulationRequest?, _ simulation: Simulation?, _ kept: [KeptColumns]? = nil
  ) -> String {
    var lines = [
      (
        "protocol",
        "\(result.protocol.rawValue), \(result.windows.grouped) \(result.windows == 1 ? "window" : "windows") of \(result.context.grouped) tokens"
      ),
      ("tokens", result.tokens.grouped),
    ]
    if let perplexity = result.perplexity { lines.append(("perplexity", perplexity.text)) }
    if let vectors = result.vectors {
      lines += [
        ("cosine mean", vectors.cosine.text), ("cosine p1", vectors.cosine1.fixed(5)), ("cosine min", vectors.cosineMinimum.fixed(5)),
      ]
      if let ranks = vectors.ranks { lines.append(("ranks", ranks.fixed(5))) }
    }
    if let request, let simulation {
      let counts = "\(simulation.weights.count) weights, \(simulation.inputs.count) inputs, \(simulation.caches.count) caches"
      lines.insert(("simulated", "\(request.text): \(counts)"), at: 1)
      if let kept { lines.insert(("kept columns", Evaluate.text(kept)), at: 2) }
    }
    if let comparison = result.comparison {
      lines.append(("  of reference", comparison.perplexity.text))
      if let rise = result.perplexityRise, let sensitivity = result.sensitivity {
        lines.append(("  rise", "\(rise < 0 ? "" : "+")\(rise.fixed(5)) (class \(sensitivity))"))
      }
      lines += [
        ("KLD mean", comparison.divergence.text),
        ("KLD median", comparison.divergenceMedian.fixed(5)),
        ("KLD p99", comparison.divergence99.fixed(5)),
        ("KLD max", comparison.divergenceMaximum.fixed(5)),
        ("same top token", comparison.sameTop.text),
      ]
    }
    return lines.map { $0.0.padded(to: 16) + $0.1 + "\n" }.joined()
  }
}

/// The protocols by the names that people type.
enum ProtocolChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case windows
  case llamaCpp = "llama.cpp"

  var value: EvaluationProtocol {
    switch self {
    case .windows: .windows
    case .llamaCpp: .llamaCpp
    }
  }
}
