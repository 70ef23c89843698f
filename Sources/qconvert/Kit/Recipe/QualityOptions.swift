import ArgumentParser

/// How the result is held against the source. Properties are nil or empty where nothing was typed.
struct QualityOptions: ParsableArguments {
  private static let defaults = EvaluationSettings()

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Text on which the output is held against IN before it is put in place; repeatable.", valueName: "FILE"))
  var evalText: [String] = []

  @Option(help: ArgumentHelp("Tokens per window of the evaluation. (default: \(defaults.context))", valueName: "N"))
  var evalContext: Int?

  @Option(help: ArgumentHelp("Windows of the evaluation, from the start of the text. (default: all)", valueName: "N"))
  var evalWindows: Int?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Discard the output and exit with code 10 where KEY, one of > >= < <=, and a number hold: 'kld.mean > 0.02'; repeatable.",
      valueName: "GATE"))
  var failIf: [String] = []
}
