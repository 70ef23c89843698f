/// Turns a request into a sealed plan, from headers alone.
///
/// Anything impossible is refused here: a scheme that the container cannot pack, a row length that the group does not
/// divide, a method that needs text or a family, a tensor without a place.
public struct Planner: Sendable {
  let registry: Registry
  let opening: Opening

  public init(_ registry: Registry) {
    self.registry = registry
    opening = Opening(registry)
  }

  /// - Throws: `Failure` that says what is impossible and what would work.
  public func plan(_ request: ConversionRequest) throws -> ConversionPlan {
    let opened = try opening.open(
      request.input, format: request.fromFormat, configPath: request.configPath, tokenizerPath: request.tokenizerPath)
    guard !opened.tensors.isEmpty else {
      throw Failure(.data, "convert.no-tensors", "the checkpoint holds no tensors", file: request.input)
    }
    if let adapter = opened.adapter { return try plan(request, opened, adapter) }
    if let base = request.basePath {
      throw Failure(
        .usage, "usage.base", "the input is a model, and --base belongs to adapters", file: base, remedy: "Leave --base out.")
    }
    let merge = try AdapterMerge(request.adapters, opening: opening)
    let format = try format(of: request)
    let methods = try makeMethods(request)
    // Within one container each tensor goes its own way, where nobody computes with what they mean together.
    var source = format.id == opened.format && methods.isEmpty && request.adapters.isEmpty ? opened.separated : opened
    let removal = request.droppedBlocks.isEmpty ? nil : try BlockRemoval(request.droppedBlocks, of: source, opening)
    if let removal {
      guard request.adapters.isEmpty else {
        throw Failure(
          .usage, "blocks.adapter", "an adapter is merged into a whole model", file: request.input,
          remedy: "Merge it first, and drop blocks of the result.")
      }
      source = try removal.applied(to: source)
    }
    if request.isTrueSequential, ConversionPlan.propagation(request, methods) == .original {
      throw Failure(
        .usage, "usage.true-sequential", "later layers can be observed behind rounded ones in the quantized stream only",
        remedy: "Give --propagate quantized, or leave --true-sequential out.")
    }
    let requirements = methods.reduce(into: Set<Statistic>()) { $0.formUnion($1.statistics) }

    // A family is needed to rename tensors and to calibrate; otherwise an unknown architecture is no obstacle.
    var importance = try request.importancePath.map { try registry.readImportance($0) }
    let selection = try ImportanceSelection(request, among: importance)
    importance = importance.map { removal?.applied(to: $0) ?? $0 }
    let needsFamily =
      format.naming != source.naming || !requirements.isEmpty || (importance != nil && format.naming != .gguf)
      || merge.needsFamily(for: source)
    var warnings = source.warnings
    var model = needsFamily || opening.family(of: source) != nil ? try described(source, isNeeded: needsFamily, &warnings) : nil
    source = try merge.merged(into: source, model: model)
    if let model, format.naming == .gguf, model.ggufArchitecture == nil {
      throw Failure(
        .unsupported, "gguf.architecture", "llama.cpp has no architecture for this model of family '\(model.family)'", file: request.input,
        remedy: "Write a folder instead.")
    }
    for method in methods {
      guard let model, let obstacle = method.obstacle(in: model) else { continue }
      throw Failure(
        .unsupported, "method.model",
        "method '\(type(of: method).id)' cannot be used on this model of family '\(model.family)': \(obstacle)",
        file: request.input, remedy: "Leave the method out, or choose another; 'qconvert plugins' lists them.")
    }

    var drafts = try drafts(of: source, &model, target: format.naming, needsFamily: needsFamily, &warnings)
    let wanted = try scheme(of: request, source: source)
    let weighs = importance.map { $0.entries.keys.contains { selection.contains($0) } } ?? false
    try chooseSchemes(&drafts, wanted: wanted, weighs: weighs, request: request, source: source, model: model, format: format)
    let left = drafts.filter { $0.note != nil && $0.scheme?.grid.kind == .float }
    if let first = left.first, let note = first.note {
      let others = fitting(first.rowLength, format).filter { $0 != "f16" }
      warnings.append(
        "\(left.count) of \(drafts.count) tensors are left unquantized, such as '\(first.name)' (\(note))"
          + (others.isEmpty ? "" : "; these schemes fit: " + others.joined(separator: ", ")))
    }
    var tensors = try drafts.map { try seal($0, request: request, source: source, format: format, methods: methods) }
    try checkUse(of: methods, on: tensors, wanted: wanted)
    try checkFolder(tensors, model: model, request: request)
    for caution in tensors.compactMap({ $0.packing.caution($0.scheme) }) where !warnings.contains(caution) { warnings.append(caution) }
    let packings = try packings(of: format, request)
    let keptCaches = request.keyValueCache == nil ? tensors.map { storedCaches($0, source: source, packings: packings) } : []
    tensors = tensors.indices.flatMap { index in
      [tensors[index]] + storedInputs(tensors[index], source: source) + (keptCaches.isEmpty ? [] : keptCaches[index])
    }
    let cache = try cache(request)
    if cache != nil || tensors.contains(where: { $0.activations?.isStatic == true && storedInputs($0, source: source).isEmpty }) {
      tensors = try addingCalibrated(
        tensors, cache: cache, model: model ?? opening.describe(source), source: source, request: request)
    }
    let isObserving = !requirements.isEmpty || tensors.contains { $0.calibrated != nil }
    if let model { tensors += extraTensors(model, format: format, planned: tensors) }
    if let importance {
      try importance.assign(to: &tensors, selection, model: model, path: request.importancePath, warnings: &warnings)
    }
    try Importance.check(tensors, observes: !requirements.isEmpty, path: request.importancePath)

    let tokenizer = try tokenizer(request, source: source, format: format, isNeeded: isObserving && request.statisticsPath == nil)
    let statistics = try storedStatistics(
      request, methods: methods, source: source, model: model, requirements: requirements, values: tensors.compactMap(\.calibrated))
    let calibration =
      try isObserving
      ? statistics?.calibration ?? calibrationWindows(request, tokenizer: tokenizer, model: model, warnings: &warnings) : nil
    var output = try OutputRequest(
      source: source, model: model, tokenizer: tokenizer?.data, tensors: tensors,
      presetName: wanted, cache: cache ?? (keptCaches.contains { !$0.isEmpty } ? .fp8Static : nil),
      provenance: provenance(
        request, methods: methods, calibration, importance, values: tensors.compactMap(\.calibrated), adapters: merge.parts.map(\.record)),
      targetName: Files.stem(of: request.output), shardSize: request.shardSize, keepsSplit: request.keepsSplit,
      metadataEdits: MetadataEdit.edits(request))
    output.figures = request.figures
    let layout = try format.layout(output)
    return ConversionPlan(
      request: request, source: source, reference: merge.parts.isEmpty ? opened : source, model: model, format: format, methods: methods,
      tensors: tensors, layout: layout, calibration: calibration, statistics: statistics, warnings: warnings)
  }

  // MARK: - Parts of a plan

  /// What a request leaves open: id of the format, and scheme or preset.
  /// - Throws: `Failure` of kind usage for a method or format that nobody knows.
  public func defaults(of request: ConversionRequest) throws -> (format: String, scheme: String) {
    // An input that cannot be opened is reported by the plan.
    let source = try? opening.open(
      request.input, format: request.fromFormat, configPath: request.configPath, tokenizerPath: request.tokenizerPath)
    return (try format(of: request, source?.content ?? .model).id, try scheme(of: request, source: source))
  }

  /// The scheme or preset that was asked for; else that of the first method that is about one, else `keep` for an input that is
  /// quantized already or an adapter and where metadata are edited, else the format's.
  private func scheme(of request: ConversionRequest, source: Checkpoint?) throws -> String {
    if let scheme = request.scheme { return scheme }
    if source?.content == .adapter { return Planner.keepName }
    for given in request.methods {
      if let scheme = try registry.method(given.id).defaultScheme { return scheme }
    }
    let format = try format(of: request)
    guard request.methods.isEmpty, let source else { return format.defaultScheme }
    let isEdit = source.format == format.id && !(request.metadataValues + request.droppedMetadata).isEmpty
    return isEdit || source.tensors.contains { $0.storage.codes != nil } ? Planner.keepName : format.defaultScheme
  }

  private func makeMethods(_ request: ConversionRequest) throws -> [any QuantizationMethod] {
    try request.methods.map { given in
      let type = try registry.method(given.id)
      return try type.init(OptionValues(given.options, declarations: type.options, plugin: given.id))
    }
  }

  /// - Throws: `Failure` `method.unused` for a method about rounding where nothing is rounded.
  private func checkUse(of methods: [any QuantizationMethod], on tensors: [PlannedTensor], wanted: String) throws(Failure) {
    guard let method = methods.first(where: { $0.roundsByStatistics }),
      !tensors.contains(where: { $0.id?.block != nil && $0.scheme.grid.kind != .float })
    else { return }
    throw Failure(
      .usage, "method.unused",
      "method '\(type(of: method).id)' has nothing to round: with scheme '\(wanted)' every layer of every block stays unquantized",
      remedy: "Give a --scheme that quantizes ('qconvert plugins' lists them), or leave the method out.")
  }

  private func chooseSchemes(
    _ drafts: inout [TensorMapping.Draft], wanted: String, weighs: Bool, request: ConversionRequest, source: Checkpoint,
    model: ModelDescription?, format: any CheckpointFormat.Type
  ) throws {
    let modelType = Planner.modelType(of: source)
    let keeps = wanted == Planner.keepName
    let named = keeps ? nil : registry.preset(wanted)
    let preset = request.isPure ? nil : named
    // The name of a preset may be that of a scheme too (`bf16`); one that is only a preset's has none, but for the one that it
    // means without its mix.
    let scheme: (any Scheme)?
    if preset == nil, !keeps {
      scheme = try registry.scheme(named?.pureScheme ?? wanted, modelType: modelType)
    } else {
      scheme = try? registry.scheme(wanted, modelType: modelType)
    }
    let asked = try asked(drafts, request)
    let presetTensors = zip(drafts, asked).map { draft, asked in
      var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: draft.isQuantizable, id: draft.id)
      tensor.hasImportance = weighs
      tensor.configuration = source.configuration
      tensor.droppedBlocks = source.droppedBlocks
      tensor.isQuantizable = draft.isQuantizable && format.quantizes(tensor, as: scheme, model: model)
      tensor.isDecided = asked?.mayFallBack == true
      return tensor
    }
    let choices =
      preset?.choose(presetTensors, model: model)
      ?? presetTensors.map { PresetChoice(scheme: $0.isQuantizable ? scheme?.name : nil) }
    let inputs = try InputChoice(request.activations)
    let type = scheme?.grid.kind == .float ? scheme?.name : nil
    let packings = try packings(of: format, request)
    for index in drafts.indices {
      let isKept = (asked[index]?.name ?? wanted) == Planner.keepName
      if isKept, let kept = keepers(of: drafts[index], source: source, packings: packings).first {
        drafts[index].schemeName = kept.name
        drafts[index].scheme = kept
        drafts[index].activations = keptInputs(of: drafts[index], kept, source: source, packings: packings)
        continue
      }
      let stored = drafts[index].tensor.storage.schemeName
      let staysInPlace = isKept && format.id == source.format && drafts[index].isInPlace
      let unquantized = staysInPlace ? stored : format.unquantizedScheme(for: presetTensors[index], stored: stored, type: type)
      var name = isKept ? unquantized : asked[index]?.name ?? choices[index].scheme ?? unquantized
      drafts[index].note = asked[index] == nil ? choices[index].note : nil
      if asked[index]?.mayFallBack ?? true, let fallback = format.fallback(for: name, columns: drafts[index].rowLength) {
        (name, drafts[index].note) = fallback
      }
      drafts[index].schemeName = name
      drafts[index].needsImportance = named?.importantSchemes.contains(name) == true
      // Data that is not numbers (token maps), or of a type that is no scheme (f64), is copied as it is, under the name of its type.
      let isData = name == stored && !FloatSchemes.schemeNames.contains(name) && ElementType(rawValue: name.uppercased()) != nil
      if drafts[index].tensor.storage.isNumeric && !isData {
        let own = drafts[index].tensor.storage.codes?.scheme
        drafts[index].scheme = try own.flatMap { $0.name == name ? $0 : nil } ?? registry.scheme(name, modelType: modelType)
      }
      drafts[index].activations = inputs.scheme(
        for: presetTensors[index], weights: drafts[index].scheme, choice: choices[index], model: model)
    }
  }

  private func extraTensors(
    _ model: ModelDescription, format: any CheckpointFormat.Type, planned: [PlannedTensor]
  ) -> [PlannedTensor] {
    let names = Set(planned.map(\.name))
    return format.extraTensors(model).filter { !names.contains($0.name) }.map { extra in
      let scheme = FloatScheme.f32
      let packing = PlainPacking()
      let shape = [extra.values.count]
      return PlannedTensor(
        sourceName: "", name: extra.name, shape: shape, scheme: scheme, packing: packing,
        parts: packing.parts(name: extra.name, shape: shape, scheme: scheme), note: "computed", isCopy: false,
        constant: NumberConversion.bytes(of: extra.values, as: .f32))
    }
  }

  private func tokenizer(
    _ request: ConversionRequest, source: Checkpoint, format: any CheckpointFormat.Type, isNeeded: Bool
  ) throws -> (any Tokenizer)? {
    let carriesOver = format.naming == source.naming
    if !isNeeded && carriesOver && request.tokenizerPath == nil { return nil }
    return try opening.tokenizer(for: source, path: request.tokenizerPath, preTokenizer: request.preTokenizer)
  }

  /// What was collected before, where the request names a file of it.
  private func storedStatistics(
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
    try statistics.check(model: ModelFingerprint.of(source, model), requirements: needed)
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

  /// How the output was made: what a person needs to make it again. No times, hosts or paths.
  /// - Parameter values: what is found on calibration text and stored.
  private func provenance(
    _ request: ConversionRequest, methods: [any QuantizationMethod], _ calibration: CalibrationWindows?, _ importance: Importance?,
    values: [CalibratedValue], adapters: [String]
  ) -> [(key: String, value: String)] {
    var facts: [(key: String, value: String)] = [("qconvert.version", QuantCoreInfo.version)]
    let described = zip(request.methods, methods).map { given, method in
      let options = given.options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
      return type(of: method).id + (options.isEmpty ? "" : ":" + options)
    }
    if !adapters.isEmpty { facts.append(("qconvert.adapters", adapters.joined(separator: ", "))) }
    facts.append(("qconvert.methods", described.isEmpty ? "rtn" : described.joined(separator: " ")))
    if let scheme = request.scheme { facts.append(("qconvert.scheme", scheme)) }
    if let activations = request.activations { facts.append(("qconvert.activations", activations)) }
    if let cache = request.keyValueCache { facts.append(("qconvert.kv_cache", cache)) }
    if !values.isEmpty { facts.append(("qconvert.calibrator", Set(values.map(\.calibrator.name)).sorted().joined(separator: " "))) }
    if !request.tensorRules.isEmpty { facts.append(("qconvert.tensor_rules", request.tensorRules.joined(separator: " "))) }
    if let importance { facts.append(("qconvert.importance", "xxh3-128 \(importance.fingerprint)")) }
    if let calibration {
      facts.append(
        (
          "qconvert.calibration",
          "\(calibration.origin) text, xxh3-128 \(calibration.textHash), "
            + "\(calibration.windowCount) windows of \(calibration.context) tokens, xxh3-128 \(calibration.fingerprint)"
        ))
      let propagation = ConversionPlan.propagation(request, methods).rawValue
      facts.append(("qconvert.propagation", request.isTrueSequential ? propagation + ", true sequential" : propagation))
    }
    if let recipe = request.recipe {
      facts += [("qconvert.recipe", recipe), ("qconvert.recipe_xxh3_128", Fingerprint.of(recipe))]
    }
    return facts
  }

  /// The floating-point type that most of a model's weights are stored in.
  static func modelType(of source: Checkpoint) -> ElementType {
    var weights: [ElementType: Int] = [:]
    for tensor in source.tensors where tensor.shape.count >= 2 {
      guard let type = ElementType(rawValue: tensor.storage.schemeName.uppercased()), type.isFloat else { continue }
      weights[type, default: 0] += tensor.elementCount
    }
    let order: [ElementType] = [.bf16, .f16, .f32, .f64]
    return order.max { (weights[$0] ?? 0, order.firstIndex(of: $1) ?? 0) < (weights[$1] ?? 0, order.firstIndex(of: $0) ?? 0) } ?? .f32
  }
}

/// Facts about this build.
public enum QuantCoreInfo {
  /// Version of the program, recorded in every output.
  public static let version = "0.1.0"
}
