/// Makes of an opened model the one that is converted: tensors taken apart or merged with adapters, blocks dropped.
struct SourceShaping {
  /// What is converted, and what is known of it.
  struct Result {
    var source: Checkpoint
    /// Nil where no family knows the model and nobody needs one.
    var model: ModelDescription?
    /// Whether nothing can be done without a family.
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

  /// - Throws: `Failure` where the model has no such block, an adapter does not belong to it, or a family is needed and none knows it.
  func callAsFunction(_ opened: Checkpoint) throws -> Result {
    let merge = try AdapterMerge(request.adapters, opening: opening)
    // Within one container each tensor goes its own way, where nobody computes with what they mean together.
    let goesApart = target.format.id == opened.format && chain.methods.isEmpty && request.adapters.isEmpty
    var source = goesApart ? opened.separated : opened
    let removal = try removal(from: source)
    if let removal { source = try removal.applied(to: source) }
    var importance = try request.importancePath.map { try target.registry.readImportance($0) }
    let selection = try ImportanceSelection(request, among: importance)
    importance = importance.map { removal?.applied(to: $0) ?? $0 }
    var result = Result(source: source, importance: importance, selection: selection, warnings: source.warnings)
    // A family is needed to rename tensors and to calibrate; otherwise an unknown architecture is no obstacle.
    result.needsFamily =
      target.naming != source.naming || !chain.statistics.isEmpty || (importance.map { $0.naming != target.naming } ?? false)
      || merge.needsFamily(for: source)
    if result.needsFamily || opening.family(of: source) != nil { result.model = try described(source, &result) }
    result.source = try merge.merged(into: source, model: result.model)
    result.adapters = merge.parts.map(\.record)
    return result
  }

  /// The output's tensors. A description that does not fit the tensors is dropped where nobody needs it.
  /// - Throws: `Failure` of the mapping.
  func drafts(of shaped: inout Result) throws -> [TensorDraft] {
    let reader = target.registry.reader(of: shaped.source)
    var mapping = TensorMapping(source: shaped.source, reader: reader, model: shaped.model, target: target.naming)
    do {
      return try mapping.drafts(warnings: &shaped.warnings)
    } catch let failure as Failure where shaped.model != nil && !shaped.needsFamily && target.format.knowsLayersByName {
      shaped.model = nil
      shaped.warnings.append(SourceShaping.leavesOut(failure))
      mapping.model = nil
      return try mapping.drafts(warnings: &shaped.warnings)
    }
  }

  private func removal(from source: Checkpoint) throws -> BlockRemoval? {
    guard !request.droppedBlocks.isEmpty else { return nil }
    let removal = try BlockRemoval(request.droppedBlocks, of: source, opening)
    guard request.adapters.isEmpty else {
      throw Failure(
        .usage, "blocks.adapter", "an adapter is merged into a whole model", file: request.input,
        remedy: "Merge it first, and drop blocks of the result.")
    }
    return removal
  }

  /// The model of the source. Nobody needs it within a container that has a rule for the names of any model: a file whose
  /// configuration a family cannot make sense of is taken by its names, and may be one that is edited because of that.
  /// - Throws: `Failure` of the family where the model is needed, or the container has no such rule.
  private func described(_ source: Checkpoint, _ result: inout Result) throws -> ModelDescription? {
    do {
      return try opening.describe(source)
    } catch let failure as Failure where !result.needsFamily && target.format.knowsLayersByName {
      result.warnings.append(SourceShaping.leavesOut(failure))
      return nil
    }
  }

  private static func leavesOut(_ failure: Failure) -> String {
    "the tensors are taken by their names, because the file is no model of its family"
      + (failure.tensor.map { " ('\($0)': \(failure.message))" } ?? " (\(failure.message))")
  }
}
