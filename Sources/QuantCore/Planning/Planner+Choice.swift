/// Which tensors there are, and which scheme each of them gets.
extension Planner {
  /// The model of the source. Between two GGUFs nobody needs it: a file whose keys a family cannot make sense of is taken by its
  /// names, and may be one that is edited because of that.
  /// - Throws: `Failure` of the family where the model is needed, or the source is no GGUF.
  func described(_ source: Checkpoint, isNeeded: Bool, _ warnings: inout [String]) throws -> ModelDescription? {
    do {
      return try opening.describe(source)
    } catch let failure as Failure where !isNeeded && source.naming == .gguf {
      warnings.append(Planner.leavesOut(failure))
      return nil
    }
  }

  /// The output's tensors. A description that does not fit the tensors is dropped where nobody needs it.
  func drafts(
    of source: Checkpoint, _ model: inout ModelDescription?, target: Naming, needsFamily: Bool, _ warnings: inout [String]
  ) throws -> [TensorMapping.Draft] {
    do {
      return try TensorMapping(source: source, model: model, target: target).drafts(warnings: &warnings)
    } catch let failure as Failure where model != nil && !needsFamily && source.naming == .gguf {
      model = nil
      warnings.append(Planner.leavesOut(failure))
      return try TensorMapping(source: source, model: nil, target: target).drafts(warnings: &warnings)
    }
  }

  private static func leavesOut(_ failure: Failure) -> String {
    "the tensors are taken by their names, because the file is no model of its family"
      + (failure.tensor.map { " ('\($0)': \(failure.message))" } ?? " (\(failure.message))")
  }

  /// Gives every draft its scheme, and its input a way of rounding: what was asked for it, else what the preset or scheme for the
  /// whole says, else what the container puts in its place.
  /// - Parameter weighs: whether errors are weighed by importance.
  func chooseSchemes(
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
    let typed = drafts.indices.filter { index in
      let draft = drafts[index]
      var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: draft.isQuantizable, id: draft.id)
      tensor.configuration = source.configuration
      return draft.isQuantizable && format.quantizes(tensor, as: FloatScheme.f32, model: model)
    }
    let asked = try asked(drafts, typed: typed, request)
    let packings = try packings(of: format, request)
    let stacks = scheme.map { scheme in self.stacks(drafts, in: packings.filter { $0.holds(scheme.grid) }, source: source) } ?? []
    let presetTensors = drafts.indices.map { index in
      let draft = drafts[index]
      var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: draft.isQuantizable, id: draft.id)
      tensor.hasImportance = weighs
      tensor.configuration = source.configuration
      tensor.droppedBlocks = source.droppedBlocks
      // Readers of a packing for stacks look for codes nowhere else.
      let isWanted = stacks.isEmpty ? format.quantizes(tensor, as: scheme, model: model) : stacks.contains(index)
      tensor.isQuantizable = draft.isQuantizable && isWanted
      tensor.isDecided = asked[index]?.mayFallBack == true
      return tensor
    }
    let choices =
      preset?.choose(presetTensors, model: model)
      ?? presetTensors.map { PresetChoice(scheme: $0.isQuantizable ? scheme?.name : nil) }
    let inputs = try InputChoice(request.activations)
    let type = scheme?.grid.kind == .float ? scheme?.name : nil
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

  /// A scheme that was asked for by name.
  struct AskedScheme {
    var name: String
    /// Whether it may give way to what the container puts in its place, in rows that it cannot hold.
    var mayFallBack = false
  }

  /// The scheme that was asked for each draft, or nil where nothing was: rules for tensors first, then what was asked for the
  /// embedding and the output matrix, then rules in the form of llama-quantize.
  /// - Parameter typed: the drafts whose type can be chosen, which are those that llama-quantize searches. Norms are not.
  /// - Throws: `Failure` of kind usage for a rule that is malformed or matches nothing, and where the model has no such matrix.
  func asked(_ drafts: [TensorMapping.Draft], typed: [Int], _ request: ConversionRequest) throws -> [AskedScheme?] {
    let names = drafts.map { (target: $0.name, source: $0.tensor.name) }
    let kept = request.keptTensors.map { "\($0)=\(Planner.keepName)" }
    let ruled = try TensorRules(request.tensorRules + kept).apply(to: names)
    var result = ruled.map { $0.map { AskedScheme(name: $0) } }
    for (index, scheme) in zip(typed, try TensorRules(types: request.tensorTypes).apply(to: typed.map { names[$0] })) {
      result[index] = result[index] ?? scheme.map { AskedScheme(name: $0, mayFallBack: true) }
    }
    // A model without an output matrix of its own multiplies with the embedding.
    let outputs = drafts.indices.filter { OuterMatrix(drafts[$0].name, id: drafts[$0].id) == .output }
    let embeddings = drafts.indices.filter { OuterMatrix(drafts[$0].name, id: drafts[$0].id) == .embedding }
    let wanted = [
      ("--output-scheme", request.outputScheme, outputs.isEmpty && request.embeddingScheme == nil ? embeddings : outputs),
      ("--embedding-scheme", request.embeddingScheme, embeddings),
    ]
    for (option, scheme, indices) in wanted {
      guard let scheme else { continue }
      guard !indices.isEmpty else {
        throw Failure(
          .usage, "scheme.no-matrix", "the model has no tensor for \(option)", file: request.input,
          remedy: "Leave it out; 'qconvert plan' lists the tensors.")
      }
      for index in indices where ruled[index] == nil { result[index] = AskedScheme(name: scheme) }
    }
    return result
  }
}
