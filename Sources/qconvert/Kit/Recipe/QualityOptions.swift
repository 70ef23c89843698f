import ArgumentParser

/// How the result is evaluated against the source. Properties are nil or empty if nothing was typed.
struct QualityOptions: ParsableArguments {
  private static let defaults = EvaluationSettings()

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Evaluate OUT against IN on this text before OUT gets its name; repeatable.", valueName: "FILE"))
  var evalText: [String] = []

  @Option(help: ArgumentHelp("Use N tokens per window of the evaluation. (default: \(defaults.context))", valueName: "N"))
  var evalContext: Int?

  @Option(help: ArgumentHelp("Evaluate on N windows from the start of the text. (default: all)", valueName: "N"))
  var evalWindows: Int?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Discard OUT and exit with code 10 if this holds: 'kld.mean > 0.02'; repeatable.",
      valueName: "GATE"))
  var failIf: [String] = []

  @Flag(inversion: .prefixedNo, help: "Keep an OUT that --fail-if rejects; the exit code is 10 all the same.")
  var keepRejected: Bool?
}
