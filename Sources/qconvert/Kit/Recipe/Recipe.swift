import QuantCore

/// All settings of a conversion, from the command line, a recipe file or the defaults.
struct Recipe: Sendable {
  /// What is converted, and how. Empty paths are not given yet.
  var conversion = ConversionRequest(input: "", output: "")
  /// The level of quality by which methods are chosen; nil: they are given, or there are none.
  var quality: Quality?
  /// How the result is evaluated against the source.
  var evaluation = EvaluationSettings()
  /// Conditions that reject the result.
  var gates: [Gate] = []
  /// Whether an output that a gate rejects gets its name.
  var keepsRejected = false
  /// Where the result document goes.
  var report = ReportPlace.beside

  /// The request that the recipe describes.
  /// - Throws: `Failure` of kind usage if IN or OUT is missing.
  /// - Parameter isEncoder: whether the input makes vectors, not logits; decides which figures of an evaluation are shown.
  func request(threads: Int, isEncoder: Bool) throws(Failure) -> ConversionRequest {
    for (path, name) in [(conversion.input, "IN"), (conversion.output, "OUT")] where path.isEmpty {
      throw Wording.usage("Missing expected argument '<\(name)>'")
    }
    var text = conversion.calibration
    text.precision = CalibrationRequest().precision
    if conversion.statisticsPath != nil, text != CalibrationRequest() {
      throw Failure(
        .usage, "usage.stats-and-text", "--stats cannot be combined with calibration options: its text was observed already",
        remedy: "Give one or the other.")
    }
    var request = conversion
    request.threads = threads
    request.recipe = recorded.text()
    if !evaluation.text.isEmpty { request.figures = EvaluationResult.figures(texts: evaluation.text, isEncoder: isEncoder) }
    return request
  }

  /// The recipe with the defaults that depend on other settings filled in: the options of methods, and the scheme and format if
  /// methods or the output's name decide on them.
  /// - Parameter opened: the input, or nil if it cannot be opened.
  /// - Throws: `Failure` of kind usage for an unknown method or format, and for a level of quality beside methods.
  func resolved(_ registry: Registry, opened: Checkpoint?) throws -> Recipe {
    var recipe = self
    if let quality {
      guard conversion.methods.isEmpty else {
        throw Failure(
          .usage, "usage.quality-and-methods", "--quality chooses the methods, so it cannot be combined with --plugin",
          remedy: "Give one or the other.")
      }
      recipe.conversion.methods = try registry.methods(for: quality)
      recipe.quality = nil
    }
    // Types are measured on the weights as they are.
    if !conversion.size.isGiven { recipe.conversion.methods = try registry.completed(recipe.conversion.methods) }
    recipe.conversion.methods = try recipe.conversion.methods.map { given in
      let declarations = try registry.method(given.id).options
      let values = try OptionValues(given.options, declarations: declarations, plugin: given.id)
      return (given.id, Dictionary(uniqueKeysWithValues: declarations.map { ($0.name, values.string($0.name)) }))
    }
    if conversion.toFormat != nil || !conversion.output.isEmpty {
      let defaults = try Planner(registry).defaults(of: recipe.conversion, opened: opened)
      recipe.conversion.toFormat = defaults.format
      recipe.conversion.scheme = defaults.scheme
    }
    return recipe
  }

  /// Refuses gates on an evaluation that was not requested.
  func checkGates() throws(Failure) {
    try Gate.check(
      gates, measures: { key in !evaluation.text.isEmpty || !EvaluationResult.measures.contains { $0.key == key } },
      remedy: "Give --eval-text FILE, or leave the gate out.")
  }

  /// All settings, as a recipe file holds them.
  var document: JSON { Recipe.tree(Setting.all.compactMap { setting in setting.value(self).map { (setting.key, $0) } }) }

  /// The settings that the bytes of the output depend on, without paths of this machine.
  var recorded: JSON {
    Recipe.tree(Setting.all.filter { $0.influence == .recorded }.compactMap { setting in setting.value(self).map { (setting.key, $0) } })
  }

  /// Nested objects from keys whose parts are separated by dots. Keys of one section must be adjacent.
  private static func tree(_ values: [(key: String, value: JSON)]) -> JSON {
    var members: [JSON.Member] = []
    for (key, value) in values {
      let parts = key.split(separator: ".", maxSplits: 1).map { String($0) }
      guard parts.count == 2 else {
        members.append(.init(key, value))
        continue
      }
      if members.last?.key != parts[0] { members.append(.init(parts[0], .object([]))) }
      let section = members.removeLast().value.objectValue ?? []
      members.append(.init(parts[0], .object(section + [.init(parts[1], value)])))
    }
    return .object(members)
  }
}
