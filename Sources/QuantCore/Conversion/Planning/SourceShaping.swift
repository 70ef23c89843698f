/// Prepares an opened model for conversion: separates tensors, merges adapters, drops blocks.
struct SourceShaping {
  /// What is converted, and what is known of it.
  struct Result {
    var source: Checkpoint
    /// Nil if no family knows the model and none is needed.
    var model: ModelDescription?
    /// Whether the conversion needs a family.
    var needsFamily = false
    var importance: Importance?
    var selection: ImportanceSelection
    /// Name, factor and hash of each adapter that was merged.
    var adapters: [String] = []
    var warnings: [String]
  }

  let request: ConversionRequest
  let target: Target
  let chain: MethodChain
  let opening: Opening

  /// - Throws: `Failure` if the model has no such block, an adapter does not belong to it, or a family is needed and none knows it.
  func callAsFunction(_ opened: Checkpoint) throws -> Result {
    let merge = try AdapterMerge(request.adapters, opening: opening)
    // Within one format tensors are converted separately, unless something computes with what they mean together.
    let goesApart = target.format.id == opened.format && chain.methods.isEmpty && request.adapters.isEmpty
    var source = goesApart ? opened.separated : opened
    try dropTensors(of: &source)
    let removal = try removal(from: source)
    if let removal { source = try removal.applied(to: source) }
    var importance = try request.importancePath.map { try target.registry.readImportance($0) }
    let selection = try ImportanceSelection(request, among: importance)
    importance = importance.map { removal?.applied(to: $0) ?? $0 }
    var result = Result(source: source, importance: importance, selection: selection, warnings: source.cautions)
    // A family is needed to rename tensors and to calibrate; otherwise an unknown architecture does not matter.
    result.needsFamily =
      target.naming != source.naming || !chain.statistics.isEmpty || (importance.map { $0.naming != target.naming } ?? false)
      || merge.needsFamily(for: source) || chain.rewrites
    if result.needsFamily || opening.family(of: source) != nil { result.model = try described(source, &result) }
    if request.predictions == .none, let model = result.model {
      source = PredictionRequest.without(source, model)
      result.model = try described(source, &result)
    }
    result.source = try merge.merged(into: source, model: result.model)
    if chain.rewrites, let model = result.model {
      try chain.check(on: model, path: request.input)
      result.source = try result.source.rewritten(by: chain.methods, model: model)
    }
    result.adapters = merge.parts.map(\.record)
    if request.tokenizerPath == nil { result.warnings += merge.cautions(besides: source) }
    return result
  }

  /// The output's tensors. A description that does not fit the tensors is dropped if it is not needed.
  /// - Parameter wanted: name of the scheme or preset for the whole model, or `keep`.
  /// - Throws: `Failure` of the mapping.
  func drafts(of shaped: inout Result, wanted: String) throws -> [TensorDraft] {
    let reader = target.registry.reader(of: shaped.source)
    var mapping = TensorMapping(
      source: shaped.source, reader: reader, model: shaped.model, target: target.naming,
      separatesStacks: target.storesCodes(wanted, modelType: shaped.source.modelType), predictions: request.predictions,
      wayForTowers: TowerRequest.way(of: request, shaped.source, shaped.model, target, opening))
    do {
      return try mapping.drafts(warnings: &shaped.warnings)
    } catch let failure as Failure where shaped.model != nil && !shaped.needsFamily && target.format.knowsLayersByName {
      shaped.model = nil
      shaped.warnings.append(SourceShaping.leavesOut(failure))
      mapping.model = nil
      return try mapping.drafts(warnings: &shaped.warnings)
    }
  }

  /// Leaves out the tensors that the user named.
  private func dropTensors(of source: inout Checkpoint) throws {
    guard !request.droppedTensors.isEmpty else { return }
    let names = source.tensors.map { (target: $0.name, source: $0.name) }
    let dropped = try TensorRules(request.droppedTensors.map { $0 + "=drop" }).apply(to: names)
    source.replaceTensors(zip(source.tensors, dropped).filter { $1 == nil }.map(\.0))
    guard !source.tensors.isEmpty else {
      throw Failure(
        .usage, "convert.no-tensors", "the patterns of \(request.droppedTensors.count) options drop all tensors", file: request.input)
    }
  }

  private func removal(from source: Checkpoint) throws -> BlockRemoval? {
    guard !request.droppedBlocks.isEmpty else { return nil }
    let removal = try BlockRemoval(request.droppedBlocks, of: source, opening)
    guard request.adapters.isEmpty else {
      throw Failure(
        .usage, "blocks.adapter", "blocks cannot be dropped in the run that merges an adapter", file: request.input,
        remedy: "Merge the adapter first, then drop blocks of the result.")
    }
    return removal
  }

  /// The model of the source. A conversion within a format may do without: if the family does not support this variant, layers are
  /// recognized by name, as those of an unknown architecture. If the configuration makes no sense, only formats with a rule for the names
  /// of any model go on; the user may be converting the file to repair its configuration.
  /// - Throws: `Failure` of the family if the model is needed.
  private func described(_ source: Checkpoint, _ result: inout Result) throws -> ModelDescription? {
    if request.writesTowers { return try opening.describeTowers(source) }
    do {
      return try opening.describe(source)
    } catch let failure as Failure where !result.needsFamily && (target.format.knowsLayersByName || failure.kind == .unsupported) {
      result.warnings.append(SourceShaping.leavesOut(failure))
      return nil
    }
  }

  private static func leavesOut(_ failure: Failure) -> String {
    "tensors are recognized by their names, because the checkpoint does not fit its family"
      + (failure.tensor.map { " ('\($0)': \(failure.message))" } ?? " (\(failure.message))")
  }
}
