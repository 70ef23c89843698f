import ArgumentParser
import QuantCore

/// The text that is observed.
struct CalibrationOptions: ParsableArguments {
  @Option(parsing: .singleValue, help: ArgumentHelp("Calibration text; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  @Option(help: ArgumentHelp("Windows of calibration text.", valueName: "N"))
  var samples = 128

  @Option(help: ArgumentHelp("Tokens per window.", valueName: "N"))
  var context = 512

  @Option(help: ArgumentHelp("0: windows spread evenly; else chosen at random with this seed.", valueName: "N"))
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("Begin windows with BOS; auto: as the tokenizer's rule says.", valueName: "WHEN"))
  var bos = BOSChoice.auto

  /// What was typed, checked for form.
  /// - Throws: `Failure` of kind usage.
  func request() throws(Failure) -> CalibrationRequest {
    var request = CalibrationRequest()
    request.files = calibration
    request.samples = try WholeNumber.check(samples, "--samples", in: 1...1_000_000)
    request.context = try WholeNumber.check(context, "--context", in: 2...1_048_576)
    request.seed = seed
    request.bos = bos.value
    return request
  }
}
