/// Determines what methods observe: text that is run through the model, or statistics that were collected earlier.
struct Observation {
  /// What a conversion needs besides its tensors.
  struct Result {
    /// Nil if no text is tokenized and the output keeps the source's tokenizer.
    var tokenizer: (any Tokenizer)?
    var statistics: StoredStatistics?
    /// Nil if nothing is observed.
    var calibration: CalibrationWindows?
  }

  let request: ConversionRequest
  let chain: MethodChain
  let source: Checkpoint
  let model: ModelDescription?
  let target: Target
  let opening: Opening
  /// Values that calibration finds and the output stores.
  let values: [CalibratedValue]

  /// - Throws: `Failure` if text or statistics are missing, malformed, or of another model.
  func callAsFunction(_ warnings: inout [String]) throws -> Result {
    let isObserving = !chain.statistics.isEmpty || !values.isEmpty
    var result = Result()
    result.tokenizer = try tokenizer(isNeeded: isObserving && request.statisticsPath == nil)
    result.statistics = try storedStatistics()
    if isObserving {
      result.calibration = result.statistics?.calibration
      if result.calibration == nil, let tokenizer = result.tokenizer, let model {
        result.calibration = try Observation.windows(request.calibration, tokenizer, model, &warnings)
      }
    }
    return result
  }

  private func tokenizer(isNeeded: Bool) throws -> (any Tokenizer)? {
    let carriesOver = target.naming == source.naming || model?.isOfTowers == true
    if !isNeeded && carriesOver && request.tokenizerPath == nil { return nil }
    return try opening.tokenizer(for: source, path: request.tokenizerPath, preTokenizer: request.preTokenizer)
  }

  /// Statistics that were collected earlier, if the request names a file of them.
  private func storedStatistics() throws -> StoredStatistics? {
    guard let path = request.statisticsPath else { return nil }
    let needed = values.reduce(into: chain.statistics) { $0.formUnion($1.calibrator.requirements(for: $1.scheme)) }
    guard let model, !needed.isEmpty else {
      throw Failure(
        .usage, "stats.unused", "no method of this conversion observes anything", file: path,
        remedy: "Leave \(setting: "stats") out, or give a \(setting: "plugin") that observes.")
    }
    guard chain.propagation == .original else {
      throw Failure(
        .usage, "stats.stream", "the methods observe the quantized stream, which no file can hold", file: path,
        remedy: "Give \(setting: "propagate") original, or \(setting: "calibration") instead of \(setting: "stats").")
    }
    guard values.allSatisfy({ model.graph($0.block)?.sites.contains($0.site) ?? false }) else {
      throw Failure(
        .usage, "stats.cache", "the scales of keys and values cannot be found from a file of statistics", file: path,
        remedy: "Give \(setting: "calibration") instead of \(setting: "stats").")
    }
    let statistics = try StoredStatistics(opening.open(path, format: opening.registry.statisticsFormat().id))
    try statistics.check(model: ModelFingerprint.of(source, description: model.canonicalText), requirements: needed)
    return statistics
  }

  /// The text of a request, cut into windows.
  /// - Throws: `Failure` if a file cannot be read, the text is too short, or the model has too few positions.
  static func windows(
    _ request: CalibrationRequest, _ tokenizer: any Tokenizer, _ model: ModelDescription, _ warnings: inout [String]
  ) throws -> CalibrationWindows {
    var text = ""
    for file in request.files { text += try Files.readText(file) }
    let isBuiltIn = request.files.isEmpty
    let windows = try CalibrationWindows(
      text: isBuiltIn ? DefaultCalibration.text : text, origin: isBuiltIn ? "built-in" : "user", tokenizer: tokenizer,
      request: request, areTexts: model.head.pooling != nil)
    try model.checkPositions(windows.context)
    if isBuiltIn {
      warnings.append(
        "calibrating on the built-in text (\(windows.availableTokens) tokens of general English); "
          + "--calibration FILE with text like your own gives better results")
    }
    let widest = model.tensors.compactMap { $0.id.block == nil ? nil : $0.shape.last }.max() ?? 0
    if windows.tokenCount < 2 * widest {
      warnings.append(
        "\(windows.tokenCount) calibration tokens are too few for the widest layer input, which has \(widest) channels; "
          + "give at least \(2 * widest)")
    }
    return windows
  }
}
