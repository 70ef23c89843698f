import ArgumentParser
import Logging
import QuantCore

/// What `eval` and `logits` round beside what a checkpoint stores.
struct SimulationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Round activations as a program does: file, llama.cpp, a preset (w8a8), an activation scheme (int8-token); also kv=fp8.",
      valueName: "SPEC"))
  var simulate: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Text for scales that --simulate must find; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  /// What is asked for, checked for form.
  /// - Throws: `Failure` of kind usage.
  func request(_ registry: Registry) throws(Failure) -> SimulationRequest? {
    guard let simulate else {
      guard calibration.isEmpty else {
        throw Failure(
          .usage, "usage.calibration", "calibration text is read for scales that --simulate must find",
          remedy: "Leave --calibration out, or give --simulate too.")
      }
      return nil
    }
    return try SimulationRequest(simulate, registry: registry)
  }

  /// The simulation for one model; its text is read and tokenised only where scales must be found.
  func simulation(
    _ request: SimulationRequest, _ engine: Engine, checkpoint: Checkpoint, registry: Registry, _ log: Logger,
    tokenizer: () throws -> any Tokenizer
  ) throws -> Simulation {
    var isTextRead = false
    let simulation = try SimulationBuilder(engine, checkpoint: checkpoint, registry: registry).simulation(request) {
      isTextRead = true
      var text = ""
      for file in calibration { text += try Files.readText(file) }
      var choice = CalibrationRequest()
      choice.files = calibration
      if calibration.isEmpty { log.notice("static scales come from the built-in text; --calibration FILE gives another") }
      return try CalibrationWindows(
        text: calibration.isEmpty ? DefaultCalibration.text : text, origin: calibration.isEmpty ? "built-in" : "user",
        tokenizer: tokenizer(), request: choice
      ).windows
    }
    guard isTextRead || calibration.isEmpty else {
      throw Failure(
        .usage, "usage.calibration", "nothing in --simulate '\(request.text)' has a scale that is found on calibration text",
        remedy: "Leave --calibration out.")
    }
    return simulation
  }
}
