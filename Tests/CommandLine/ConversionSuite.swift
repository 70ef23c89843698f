import QConvertKit
import QuantCore
import TestSupport
import Testing

/// A suite of whole conversions that uses the same objects as the program.
protocol ConversionSuite {
  var registry: Registry { get }
  /// Where outputs are written.
  var folder: TemporaryFolder { get }
}

extension ConversionSuite {
  /// The small real model.
  var model: String { SharedData.fixture("models/tiny-llama") }

  func plan(_ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> ConversionPlan {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.calibration.samples = 2
    request.calibration.context = 32
    request.threads = 2
    change(&request)
    return try Planner(registry).plan(request)
  }

  /// - Returns: the path of the output.
  @discardableResult
  func convert(_ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> String {
    try Converter(registry).run(plan(input, output, change), progress: SilentProgress())
    return folder.file(output)
  }

  func failure(_ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void) -> Failure? {
    #expect(throws: Failure.self) { try plan(input, output, change) }
  }
}
