/// What methods observe: text that is run through the model, or statistics that were collected before.
extension Planner {
  /// What was collected before, where the request names a file of it.
  func storedStatistics(
    _ request: ConversionRequest, methods: [any QuantizationMethod], source: Checkpoint, model: ModelDescription?,
    requirements: Set<Statistic>, values: [CalibratedValue]
  ) throws -> StoredStatistics? {
    guard let path = request.statisticsPath else { return nil }
    let needed = values.reduce(into: requirements) { $0.formUnion($1.calibrator.requirements) }
    guard let model, !needed.isEmpty else {
      throw Failure(
        .usage, "stats.unused", "no method of this conversion observes anything", file: path,
        remedy: "Leave --stats out, or give a --plugin.")
    }
    guard ConversionPlan.propagation(request, methods) == .original else {
      throw Failure(
        .usage, "stats.stream", "the methods observe the model behind its rounded blocks, which no file can hold", file: path,
        remedy: "Give --propagate original, or --calibration instead of --stats.")
    }
    guard values.allSatisfy({ model.block.sites.contains($0.site) }) else {
      throw Failure(
        .usage, "stats.cache", "keys and values, whose scales are to be stored, are in no file of statistics", file: path,
        remedy: "Give --calibration instead of --stats.")
    }
    let statistics = try StoredStatistics(opening.open(path, format: "safetensors"))
    try statistics.check(model: ModelFingerprint.of(source, description: model.canonicalText), requirements: needed)
    return statistics
  }

  func calibrationWindows(
    _ request: ConversionRequest, tokenizer: (any Tokenizer)?, model: ModelDescription?, warnings: inout [String]
  ) throws -> CalibrationWindows? {
    guard let tokenizer, let model else { return nil }
    var text = ""
    for file in request.calibration.files { text += try Files.readText(file) }
    let isBuiltIn = request.calibration.files.isEmpty
    let windows = try CalibrationWindows(
      text: isBuiltIn ? DefaultCalibration.text : text, origin: isBuiltIn ? "built-in" : "user", tokenizer: tokenizer,
      request: request.calibration)
    try model.parameters.checkPositions(windows.context)
    if isBuiltIn {
      warnings.append(
        "calibrating on the built-in text (\(windows.availableTokens) tokens of general English); "
          + "--calibration FILE with text like your own gives better results")
    }
    let widest = model.tensors.compactMap { $0.id.block == nil ? nil : $0.shape.last }.max() ?? 0
    if windows.tokenCount < 2 * widest {
      warnings.append(
        "\(windows.tokenCount) calibration tokens are few for the widest layer input of \(widest) channels; "
          + "give at least \(2 * widest)")
    }
    return windows
  }
}
