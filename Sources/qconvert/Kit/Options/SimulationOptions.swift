import ArgumentParser
import Logging
import QuantCore

/// What `eval` and `logits` round in addition to what a checkpoint stores.
struct SimulationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Simulate a client: file, llama.cpp, a preset, an activation scheme, kv=fp8.",
      valueName: "SPEC"))
  var simulate: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Find scales for --simulate on this text; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  @Option(
    help: ArgumentHelp(
      "Find scales for --simulate by minmax, average[:M], percentile[:P], entropy, mse. (default: minmax)", valueName: "NAME"))
  var calibrator: String?

  /// The simulation that was requested, checked for form.
  /// - Throws: `Failure` of kind usage.
  func request(_ registry: Registry) throws(Failure) -> SimulationRequest? {
    guard let simulate else {
      if let given {
        throw Failure(
          .usage, "usage.calibration", "\(given) is only for scales that --simulate must find",
          remedy: "Leave out \(given), or give --simulate too.")
      }
      return nil
    }
    return try SimulationRequest(simulate, registry: registry)
  }

  /// An option that says how scales are found, if one was given.
  private var given: String? { !calibration.isEmpty ? "--calibration" : calibrator != nil ? "--calibrator" : nil }

  /// The simulation for one model; its text is read and tokenised only if scales must be found.
  func simulation(
    _ request: SimulationRequest, _ engine: Engine, checkpoint: Checkpoint, registry: Registry, _ log: Logger,
    tokenizer: () throws -> any Tokenizer
  ) throws -> Simulation {
    var isTextRead = false
    let calibrator = try calibrator.map { try RangeCalibrator(known: $0) } ?? .minMax
    let builder = SimulationBuilder(engine, checkpoint: checkpoint, registry: registry, calibrator: calibrator)
    let simulation = try builder.simulation(request) {
      isTextRead = true
      var text = ""
      for file in calibration { text += try Files.readText(file) }
      var choice = CalibrationRequest()
      choice.files = calibration
      if calibration.isEmpty { log.notice("static scales are found on the built-in text; --calibration FILE replaces it") }
      return try CalibrationWindows(
        text: calibration.isEmpty ? DefaultCalibration.text : text, origin: calibration.isEmpty ? "built-in" : "user",
        tokenizer: tokenizer(), request: choice, areTexts: engine.model.head.pooling != nil
      ).windows
    }
    if let given, !isTextRead {
      throw Failure(
        .usage, "usage.calibration", "--simulate '\(request.text)' needs no scale that is found on calibration text",
        remedy: "Leave out \(given).")
    }
    return simulation
  }
}
