import ArgumentParser
import QuantCore

/// The text that is observed. Properties are nil or empty if nothing was typed.
struct CalibrationOptions: ParsableArguments {
  private static let defaults = CalibrationRequest()

  @Option(parsing: .singleValue, help: ArgumentHelp("Observe this text; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  @Option(help: ArgumentHelp("Observe N windows of the text. (default: \(defaults.samples))", valueName: "N"))
  var samples: Int?

  @Option(help: ArgumentHelp("Use N tokens per window. (default: \(defaults.context))", valueName: "N"))
  var context: Int?

  @Option(help: ArgumentHelp("Choose windows at random with this seed; 0 spaces them evenly. (default: 0)", valueName: "N"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Begin windows with BOS; auto follows the tokenizer's rule. (default: auto)", valueName: "WHEN"))
  var bos: BOSChoice?

  /// The defaults, overridden by what was typed, checked for form.
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
