/// Plans the conversion of an adapter alone: to another format, or to another floating-point type.
struct AdapterPlanner {
  let opening: Opening

  /// Settings that concern models only have no effect here; the command line refuses them.
  /// - Throws: `Failure` if the adapter does not belong to its base, or the format has no place for some of it.
  func plan(_ request: ConversionRequest, _ source: Checkpoint, _ adapter: LowRankAdapter) throws -> ConversionPlan {
    let format = try Target.adapterFormat(of: request, opening.registry)
    var held = source
    var base: (checkpoint: Checkpoint, model: ModelDescription)?
    if format.naming != source.naming {
      let found = try openBase(request, format)
      let mapping = AdapterMapping(base: found.checkpoint, model: found.model, target: format.naming, file: source.path)
      let moved = try mapping(adapter)
      held = Checkpoint(
        path: source.path, format: source.format, tensors: try format.tensors(of: moved), naming: format.naming,
        configuration: source.configuration, metadata: source.metadata, companionFolder: source.companionFolder,
        files: source.files + found.checkpoint.files, warnings: source.warnings, mappings: source.mappings)
      held.adapter = moved
      base = found
    }
    let wanted = request.scheme ?? Planner.keepName
    let tensors = try held.tensors.map { try seal($0, as: wanted, format: format, request: request) }
    var provenance: [(key: String, value: String)] = [("qconvert.version", QuantCoreInfo.version)]
    if let base { provenance.append(("qconvert.base", Files.lastComponent(base.checkpoint.path))) }
    if let recipe = request.recipe {
      provenance += [("qconvert.recipe", recipe), ("qconvert.recipe_xxh3_128", Fingerprint.of(recipe))]
    }
    let layout = try format.layout(
      OutputRequest(
        source: held, model: base?.model, tokenizer: nil, tensors: tensors, presetName: wanted, provenance: provenance,
        targetName: Files.stem(of: request.output), shardSize: request.shardSize))
    return ConversionPlan(
      request: request, source: held, reference: held, model: nil, format: format, methods: [], tensors: tensors, layout: layout,
      calibration: nil, statistics: nil, warnings: held.warnings + [format.caution(ofCompanions: source)].compactMap { $0 })
  }

  private func openBase(
    _ request: ConversionRequest, _ format: any CheckpointFormat.Type
  ) throws -> (checkpoint: Checkpoint, model: ModelDescription) {
    guard let path = request.basePath else {
      throw Failure(
        .usage, "adapter.base", "format '\(format.id)' names the adapter's tensors differently; the names depend on its model",
        file: request.input, remedy: "Give the model that the adapter was made for with \(setting: "base").")
    }
    let base = try opening.open(path, configPath: request.configPath, tokenizerPath: request.tokenizerPath)
    let model = try opening.describe(base)
    if var refusal = format.refusal(of: model) {
      refusal.remedy = "Merge the adapter into the model with \(setting: "lora"), and write a folder."
      throw refusal.inFile(path)
    }
    return (base, model)
  }

  /// An adapter's values keep their type, or get the floating-point type that was asked for.
  private func seal(
    _ tensor: CheckpointTensor, as wanted: String, format: any CheckpointFormat.Type, request: ConversionRequest
  ) throws -> PlannedTensor {
    let stored = tensor.storage.schemeName
    func scheme(_ name: String) -> FloatScheme? { ElementType(schemeName: name).flatMap { FloatScheme($0) } }
    let name = wanted != Planner.keepName ? wanted : scheme(stored) == nil ? FloatScheme.f32.name : stored
    let packing = PlainPacking()
    guard let scheme = scheme(name) else {
      throw Failure(
        .unsupported, "adapter.scheme", "an adapter cannot be stored as \(name)", file: request.output, tensor: tensor.name,
        remedy: "Give \(setting: "scheme") f32, f16 or bf16.")
    }
    let parts = packing.parts(name: tensor.name, shape: tensor.shape, scheme: scheme)
    return PlannedTensor(
      sourceName: tensor.name, name: tensor.name, shape: tensor.shape, scheme: scheme, packing: packing, parts: parts, note: nil,
      isCopy: stored == name && tensor.storage.verbatim?.count == parts[0].byteCount)
  }
}
