/// Turns a request into a sealed plan, reading headers only.
///
/// Anything impossible is refused here: a scheme that the format cannot pack, a row length that is not a multiple of the group
/// size, a method that needs text or a family, a tensor without a place.
public struct Planner: Sendable {
  let registry: Registry
  let opening: Opening

  /// The name that means the schemes in which the source's tensors are stored.
  public static let keepName = "keep"

  public init(_ registry: Registry) {
    self.registry = registry
    opening = Opening(registry)
  }

  /// Opens the input of a request.
  /// - Throws: `Failure` of the format.
  public func open(_ request: ConversionRequest) throws -> Checkpoint {
    try opening.open(request.input, format: request.fromFormat, configPath: request.configPath, tokenizerPath: request.tokenizerPath)
  }

  /// Runs the passes, each with the results of those before it.
  /// - Parameter opened: the input, if it is open already.
  /// - Throws: `Failure` that says what is impossible and what would work.
  public func plan(
    _ request: ConversionRequest, opened: Checkpoint? = nil, progress: any ProgressReporter = SilentProgress()
  ) throws -> ConversionPlan {
    let opened = try opened ?? open(request)
    guard !opened.tensors.isEmpty else {
      throw Failure(.data, "convert.no-tensors", "the checkpoint holds no tensors", file: request.input)
    }
    try opened.checkWeightsAreKnown()
    if let adapter = opened.adapter { return try AdapterPlanner(opening: opening).plan(request, opened, adapter) }
    if request.size.isGiven { return try SizedPlanning(self, request, opened: opened).plan(progress: progress) }
    try request.size.check(request)
    let passes = try passes(request, opened)
    if let chooser = passes.chain.chooser {
      return try RankedPlanning(self, passes, chooser, opened: opened).plan(progress: progress)
    }
    return try plan(request, passes, opened, mix: nil)
  }

  /// What is known before types are chosen.
  struct Passes {
    let request: ConversionRequest
    let target: Target
    let chain: MethodChain
    /// Name of the scheme or preset for the whole model, or `keep`.
    let wanted: String
    let drafts: [TensorDraft]
    var shaped: SourceShaping.Result

    /// The choice of types.
    /// - Parameter mix: chooses in place of a preset; nil: none does.
    func choice(mix: (any Preset)?) -> SchemeChoice {
      SchemeChoice(
        wanted: wanted, mix: mix, weighs: shaped.weighs, request: request, source: shaped.source, model: shaped.model, target: target)
    }

    /// The scheme of a tensor that is not quantized.
    func unquantized(_ draft: TensorDraft) -> String {
      let tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: draft.isQuantizable, id: draft.id)
      return target.format.unquantizedScheme(for: tensor, stored: draft.tensor.storage.schemeName, type: nil)
    }

    var sealing: Sealing {
      Sealing(request: request, source: shaped.source, model: shaped.model, target: target, hasMethods: !chain.methods.isEmpty)
    }
  }

  /// The first passes.
  /// - Throws: `Failure` that says what is impossible and what would work.
  func passes(_ request: ConversionRequest, _ opened: Checkpoint) throws -> Passes {
    let chain = try MethodChain(request, registry)
    let isChosen = request.size.isGiven || chain.chooser != nil
    let target = try isChosen ? Target(request, registry).describingOneKind : Target(request, registry)
    try TowerRequest.check(request, opened, target)
    try PredictionRequest.check(request, opened, target)
    let shaping = SourceShaping(request: request, target: target, chain: chain, opening: opening)
    var shaped = try shaping(opened)
    try check(shaped.model, for: target, chain, request)

    let wanted = try scheme(of: request, source: shaped.source)
    let drafts = try shaping.drafts(of: &shaped, wanted: wanted)
    return Passes(request: request, target: target, chain: chain, wanted: wanted, drafts: drafts, shaped: shaped)
  }

  /// The other passes.
  func plan(_ request: ConversionRequest, _ passes: Passes, _ opened: Checkpoint, mix: (any Preset)?) throws -> ConversionPlan {
    let (target, chain, wanted) = (passes.target, passes.chain, passes.wanted)
    var shaped = passes.shaped
    var chosen = try passes.choice(mix: mix)(passes.drafts)
    shaped.source = Stacks(source: shaped.source, model: shaped.model, target: target).turning(&chosen)
    let summary = ChoiceSummary(drafts: chosen, wanted: wanted, source: shaped.source, model: shaped.model, target: target)
    try summary.check(path: request.input)
    shaped.warnings += summary.warnings

    let sealing = Sealing(
      request: request, source: shaped.source, model: shaped.model, target: target, hasMethods: !chain.methods.isEmpty)
    let sealed = try sealing(chosen)
    if target.naming != shaped.source.naming { shaped.warnings += shaped.model?.cautions[target.naming] ?? [] }
    try chain.checkUse(on: sealed, wanted: wanted)
    shaped.warnings += chain.cautions(on: sealed)
    if let model = shaped.model, !chain.usesStatistics, let loud = try? LoudChannels(sealed, source: shaped.source, model: model) {
      shaped.warnings += [loud.caution].compactMap { $0 }
    }
    shaped.warnings += target.cautions(sealed, shaped.source, model: shaped.model)
    for caution in sealed.compactMap({ $0.packing.caution($0.scheme) }) where !shaped.warnings.contains(caution) {
      shaped.warnings.append(caution)
    }
    let stored = try StoredActivations(source: shaped.source, target: target, calibrator: request.calibrator)(
      sealed, cache: StoredActivations.cache(named: request.keyValueCache), isCacheGiven: request.keyValueCache != nil,
      model: shaped.model, described: { [shaped] in try opening.describe(shaped.source) })
    try target.checkFolder(sealed, cache: stored.cache, shaped.source, model: shaped.model)
    let caches = shaped.source.activations.caches
    if stored.cache == nil, !caches.isEmpty, request.keyValueCache == nil {
      shaped.warnings.append("the scales of cached keys and values of \(caches.count) blocks are left out: the output does not round them")
    }
    var tensors = stored.tensors + constants(of: shaped.model, beside: stored.tensors, target)
    if let importance = shaped.importance {
      try importance.assign(
        to: &tensors, of: target.format, shaped.selection, model: shaped.model, source: shaped.source.naming,
        path: request.importancePath, warnings: &shaped.warnings)
    }
    let observes = chain.methods.contains { $0.roundsByStatistics }
    try Importance.check(tensors, of: target.format, model: shaped.model, observes: observes, path: request.importancePath)

    let values = tensors.compactMap(\.calibrated)
    let observed = try Observation(
      request: request, chain: chain, source: shaped.source, model: shaped.model, target: target, opening: opening, values: values)(
        &shaped.warnings)
    if let caution = target.format.caution(ofCompanions: shaped.source) { shaped.warnings.append(caution) }
    var output = try OutputRequest(
      source: shaped.source, model: shaped.model, tokenizer: tokenizer(observed.tokenizer?.data, of: shaped.model, &shaped.warnings),
      tensors: tensors, presetName: wanted,
      cache: stored.cache,
      provenance: Provenance.facts(
        request, chain, observed.calibration, shaped.importance, values: values, adapters: shaped.adapters),
      targetName: Files.stem(of: request.output), shardSize: request.shardSize, keepsSplit: request.keepsSplit,
      metadataEdits: preTokenizerEdits(request, shaped.source, target, &shaped.warnings) + MetadataEdit.edits(request))
    output.figures = request.figures
    output.generation = registry.reader(of: shaped.source)?.generationSettings(of: shaped.source) ?? []
    var plan = ConversionPlan(
      request: request, source: shaped.source, reference: shaped.adapters.isEmpty ? opened : shaped.source, model: shaped.model,
      format: target.format, methods: chain.methods, tensors: tensors, layout: try target.format.layout(output),
      calibration: observed.calibration, statistics: observed.statistics, warnings: shaped.warnings)
    if let correcting = CorrectionPlanning(request, chain, target: target, source: shaped.source, model: shaped.model) {
      let added = try correcting(tensors, plan.layout, provenance: output.provenance, warnings: &plan.warnings)
      plan.adapter = added.adapter
      plan.tensors += added.tensors
      plan.layout = added.layout
    }
    return plan
  }

  /// Defaults for what a request leaves open: id of the format, and scheme or preset.
  /// - Parameter opened: the input; nil if it cannot be opened, which planning reports.
  /// - Throws: `Failure` of kind usage for an unknown method or format.
  public func defaults(of request: ConversionRequest, opened: Checkpoint?) throws -> (format: String, scheme: String) {
    let format: any CheckpointFormat.Type =
      opened?.content == .adapter ? try Target.adapterFormat(of: request, registry) : try Target.modelFormat(of: request, registry)
    return (format.id, try scheme(of: request, source: opened))
  }

  /// The format that is written: the one requested, or the one that the name of the output implies.
  /// - Throws: `Failure` of kind usage if no format writes this.
  public func format(of request: ConversionRequest) throws -> any ModelFormat.Type { try Target.modelFormat(of: request, registry) }

  /// The scheme or preset that was asked for; else the default of the first method that has one; else `keep` for an adapter, for an
  /// input that is already quantized and for an edit of metadata; else the default of the packing that was asked for, or the format's.
  private func scheme(of request: ConversionRequest, source: Checkpoint?) throws -> String {
    if let scheme = request.scheme { return scheme }
    if request.size.isGiven { return OrderedMix.name }
    if source?.content == .adapter { return Planner.keepName }
    if try request.methods.contains(where: { try registry.method($0).widths != nil }) { return OrderedMix.name }
    for given in request.methods {
      if let scheme = try registry.method(given.id).defaultScheme { return scheme }
    }
    let format = try Target.modelFormat(of: request, registry)
    if request.writesTowers, let scheme = format.towerScheme { return scheme }
    let packing = try Target(request, registry).packings.lazy.compactMap { type(of: $0).defaultScheme }.first
    let usual = request.packing == nil && request.client == nil ? format.defaultScheme : packing ?? format.defaultScheme
    guard request.methods.isEmpty, let source else { return usual }
    let isEdit = source.format == format.id && !(request.metadataValues + request.droppedMetadata).isEmpty
    return isEdit || source.tensors.contains { $0.storage.codes != nil } ? Planner.keepName : usual
  }

  /// - Throws: `Failure` if the format or a method does not support the model.
  private func check(_ model: ModelDescription?, for target: Target, _ chain: MethodChain, _ request: ConversionRequest) throws(Failure) {
    guard let model else { return }
    if let refusal = target.format.refusal(of: model) { throw refusal.inFile(request.input) }
    try chain.check(on: model, path: request.input)
  }

  /// The tokens that the model has rows for. Pieces of SentencePiece stand alone, so those that a fine-tune added without rows can be left
  /// out; so can those of any tokenizer that are only named.
  private func tokenizer(_ data: TokenizerData?, of model: ModelDescription?, _ warnings: inout [String]) -> TokenizerData? {
    guard let data, let model, data.tokens.count > model.vocabularySize,
      data.kind.isSentencePiece || data.listedCount.map({ $0 <= model.vocabularySize }) ?? false
    else { return data }
    let rows = model.vocabularySize, further = data.tokens.count - rows
    let named = data.tokens[rows...].prefix(4).map { "'\($0)'" }.joined(separator: ", ") + (further > 4 ? ", …" : "")
    warnings.append("the tokenizer has \(further) more tokens than the embedding has rows: \(named) are left out")
    return data.cut(to: rows)
  }

  /// An output with the naming of the source keeps the source's tokenizer, and gets the name of the pre-tokenizer that was given.
  private func preTokenizerEdits(
    _ request: ConversionRequest, _ source: Checkpoint, _ target: Target, _ warnings: inout [String]
  ) throws(Failure) -> [MetadataEdit] {
    guard target.naming == source.naming else { return [] }
    return try target.format.preTokenizerEdits(request.preTokenizer, source: source, &warnings)
  }

  /// Tensors that the format needs besides the model's own.
  private func constants(of model: ModelDescription?, beside planned: [PlannedTensor], _ target: Target) -> [PlannedTensor] {
    guard let model else { return [] }
    let names = Set(planned.map(\.name))
    return (model.constants[target.naming] ?? []).filter { !names.contains($0.name) }.map { extra in
      let scheme = FloatScheme.f32
      let packing = PlainPacking()
      return PlannedTensor(
        sourceName: "", name: extra.name, shape: extra.shape, scheme: scheme, packing: packing,
        parts: packing.parts(name: extra.name, shape: extra.shape, scheme: scheme), note: "computed", isCopy: false,
        constant: NumberConversion.bytes(of: extra.values, as: .f32))
    }
  }
}

extension SourceShaping.Result {
  /// Whether errors are weighed by importance.
  var weighs: Bool { importance.map { $0.entries.keys.contains { selection.contains($0) } } ?? false }
}
