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

  /// The input of a request.
  /// - Throws: `Failure` of the format.
  public func open(_ request: ConversionRequest) throws -> Checkpoint {
    try opening.open(request.input, format: request.fromFormat, configPath: request.configPath, tokenizerPath: request.tokenizerPath)
  }

  /// - Parameter opened: the input, where somebody has opened it already.
  /// - Throws: `Failure` that says what is impossible and what would work.
  public func plan(_ request: ConversionRequest, opened: Checkpoint? = nil) throws -> ConversionPlan {
    let opened = try opened ?? open(request)
    guard !opened.tensors.isEmpty else {
      throw Failure(.data, "convert.no-tensors", "the checkpoint holds no tensors", file: request.input)
    }
    if let adapter = opened.adapter { return try plan(request, opened, adapter) }
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
    source = turning(&drafts, source: source)
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
    let edits = try preTokenizerEdits(request, source: source, format: format, &warnings) + MetadataEdit.edits(request)
    var output = OutputRequest(
      source: source, model: model, tokenizer: tokenizer?.data, tensors: tensors,
      presetName: wanted, cache: cache ?? (keptCaches.contains { !$0.isEmpty } ? .fp8Static : nil),
      provenance: provenance(
        request, methods: methods, calibration, importance, values: tensors.compactMap(\.calibrated), adapters: merge.parts.map(\.record)),
      targetName: Files.stem(of: request.output), shardSize: request.shardSize, keepsSplit: request.keepsSplit,
      metadataEdits: edits)
    output.figures = request.figures
    let layout = try format.layout(output)
    return ConversionPlan(
      request: request, source: source, reference: merge.parts.isEmpty ? opened : source, model: model, format: format, methods: methods,
      tensors: tensors, layout: layout, calibration: calibration, statistics: statistics, warnings: warnings)
  }

  // MARK: - Parts of a plan

  /// What a request leaves open: id of the format, and scheme or preset.
  /// - Parameter opened: the input; nil where it cannot be opened, which the plan reports.
  /// - Throws: `Failure` of kind usage for a method or format that nobody knows.
  public func defaults(of request: ConversionRequest, opened: Checkpoint?) throws -> (format: String, scheme: String) {
    (try format(of: request, opened?.content ?? .model).id, try scheme(of: request, source: opened))
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

  /// A GGUF that becomes another keeps its tokenizer, and gets the name of the pre-tokenizer that was given.
  /// - Throws: `Failure` `tokenizer.pre-unused` where the tokenizer has none.
  private func preTokenizerEdits(
    _ request: ConversionRequest, source: Checkpoint, format: any CheckpointFormat.Type, _ warnings: inout [String]
  ) throws(Failure) -> [MetadataEdit] {
    guard format.naming == .gguf, source.naming == .gguf else { return [] }
    let splitsText = source.metadata["tokenizer.ggml.model"]?.stringValue == "gpt2"
    guard let name = request.preTokenizer else {
      if splitsText, source.metadata[TokenizerData.preTokenizerKey] == nil {
        warnings.append(
          "the file does not name its pre-tokenizer, so that llama.cpp falls back to its default, which may give other tokens than "
            + "the model was trained on; --pre NAME adds the name")
      }
      return []
    }
    guard splitsText else { throw Tokenizers.unusedPreTokenizer(file: source.path) }
    if !Tokenizers.knows(preTokenizer: name) {
      warnings.append("the pre-tokenizer '\(name)' is not known here; its name is written as it was given")
    }
    return [MetadataEdit(key: TokenizerData.preTokenizerKey, value: .string(name))]
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
