import ArgumentParser
import QuantCore

/// The text that is observed. Properties are nil or empty where nothing was typed.
struct CalibrationOptions: ParsableArguments {
  private static let defaults = CalibrationRequest()

  @Option(parsing: .singleValue, help: ArgumentHelp("Calibration text; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  @Option(help: ArgumentHelp("Windows of calibration text. (default: \(defaults.samples))", valueName: "N"))
  var samples: Int?

  @Option(help: ArgumentHelp("Tokens per window. (default: \(defaults.context))", valueName: "N"))
  var context: Int?

  @Option(help: ArgumentHelp("0, the default: windows spread evenly; else chosen at random with this seed.", valueName: "N"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Begin windows with BOS; auto, the default: as the tokenizer's rule says.", valueName: "WHEN"))
  var bos: BOSChoice?

  /// What was typed over the defaults, checked for form.
  /// - Throws: `Failure` of kind usage.
  func request() throws(Failure) -> CalibrationRequest {
    var request = CalibrationRequest()
    request.files = calibration
    if let samples { request.samples = try WholeNumber.check(samples, "--samples", in: 1...1_000_000) }
    if let context { request.context = try WholeNumber.check(context, "--context", in: 2...1_048_576) }
    if let seed { request.seed = seed }
    if let bos { request.bos = bos.value }
    return request
  }
}
