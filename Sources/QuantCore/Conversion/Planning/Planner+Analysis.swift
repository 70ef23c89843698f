/// What `analyze` found.
public struct SizeReport: Sendable {
  public var analysis: SizeAnalysis
  /// Sizes with the divergence to expect of the best mix: of the tensors whose type can be chosen.
  public var front: [SizeOutcome.Point]
  /// What was measured.
  public var source: Checkpoint
  public var warnings: [String]
}

extension Planner {
  /// Measures what the types that an output can hold cost the tensors of a model.
  /// - Parameters:
  ///   - request: the model, the format, packing and client of outputs, methods and calibration text. Nothing is written to `output`.
  ///   - text: what divergences are measured on; nil: other windows of the calibration text.
  /// - Throws: `Failure` if the model cannot be run, or nothing in it has a choice of types.
  public func analyze(
    _ request: ConversionRequest, text: CalibrationRequest?, progress: any ProgressReporter = SilentProgress()
  ) throws -> SizeReport {
    var request = request
    request.size.isMeasuring = true
    let opened = try open(request)
    try opened.checkWeightsAreKnown()
    let sized = try SizedPlanning(self, request, opened: opened)
    var warnings = opened.cautions
    let analysis = try sized.measure(text: text, &warnings, progress: progress)
    let front = sized.front(try sized.problem(analysis), analysis, beside: 0)
    return SizeReport(analysis: analysis, front: front, source: opened, warnings: warnings)
  }
}
