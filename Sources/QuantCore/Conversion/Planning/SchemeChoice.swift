/// Chooses a scheme for every tensor, and how its input is rounded.
struct SchemeChoice {
  /// Name of the scheme or preset for the whole model, or `keep`.
  let wanted: String
  /// Chooses in place of a preset or scheme for the whole model; nil: none does.
  var mix: (any Preset)?
  /// Whether errors are weighed by importance.
  let weighs: Bool
  let request: ConversionRequest
  let source: Checkpoint
  let model: ModelDescription?
  let target: Target
  private var registry: Registry { target.registry }

  /// Chooses for every draft: what was asked for it, else what the preset or scheme for the whole model says, else what the format
  /// uses in its place.
  /// - Throws: `Failure` for a scheme or rule that is unknown, malformed or fits nothing.
  func callAsFunction(_ drafts: [TensorDraft]) throws -> [ChosenDraft] {
    let modelType = source.modelType
    let format = target.format
    let keeps = wanted == Planner.keepName
    let named = keeps ? nil : mix ?? registry.preset(wanted)
    let preset = mix ?? (request.isPure ? nil : named)
    // The name of a preset may also be that of a scheme (`bf16`); otherwise the preset may name a scheme to use with `--pure`.
    let scheme: (any Scheme)?
    if preset == nil, !keeps {
      scheme = try registry.scheme(named?.pureScheme ?? wanted, modelType: modelType)
    } else {
      scheme = try? registry.scheme(wanted, modelType: modelType)
    }
    let asked = try asked(drafts)
    let packings = target.packings
    let moves = CodeMoves(source: source, packings: packings, registry: registry)
    let stacking = Stacks(source: source, model: model, target: target)
    let presetTensors = presetTensors(drafts, asked: asked, scheme: scheme)
    let choices =
      preset?.choose(presetTensors, model: model)
      ?? presetTensors.map { PresetChoice(scheme: $0.isQuantizable ? scheme?.name : nil) }
    let inputs = try InputChoice(request.activations)
    let type = scheme?.grid.kind == .float ? scheme?.name : nil
    var chosen = drafts.map { ChosenDraft($0) }
    for index in drafts.indices {
      let isKept = (asked[index]?.name ?? wanted) == Planner.keepName
      if isKept, let kept = stacking.keepers(of: drafts[index], moves).first {
        chosen[index].scheme = kept
        chosen[index].activations = moves.keptInputs(of: drafts[index], kept)
        continue
      }
      let stored = drafts[index].tensor.storage.schemeName
      let staysInPlace = isKept && format.id == source.format && drafts[index].isInPlace
      let unquantized =
        staysInPlace
        ? stored
        : drafts[index].expectedScheme(asked: type)
          ?? format.unquantizedScheme(for: presetTensors[index], stored: stored, type: type)
      var name = isKept ? unquantized : asked[index]?.name ?? choices[index].scheme ?? unquantized
      chosen[index].note = asked[index] == nil ? choices[index].note : nil
      if asked[index]?.mayFallBack ?? true, let fallback = format.fallback(for: name, columns: drafts[index].rowLength) {
        (name, chosen[index].note) = fallback
      }
      chosen[index].needsImportance = named?.importantSchemes.contains(name) == true
      // Data that is not numeric (token maps), or of a type that is not a scheme (f64), is copied as it is, under the name of its type.
      let isData = name == stored && !FloatSchemes.schemeNames.contains(name) && ElementType(schemeName: name) != nil
      if drafts[index].tensor.storage.isNumeric && !isData {
        let own = drafts[index].tensor.storage.codes?.scheme
        if isKept, name == stored, own?.name != name, (try? registry.scheme(name, modelType: modelType)) == nil {
          throw Failure(
            .unsupported, "convert.requantize", "this tensor is stored as \(name), which no output holds as it is", file: source.path,
            tensor: drafts[index].tensor.name,
            remedy: "Give another \(setting: "scheme"), with \(setting: "allow-requantize") for one of fewer bits than f16.")
        }
        chosen[index].scheme = try own.flatMap { $0.name == name ? $0 : nil } ?? registry.scheme(name, modelType: modelType)
      }
      chosen[index].activations = inputs.scheme(
        for: presetTensors[index], weights: chosen[index].scheme, choice: choices[index], model: model)
    }
    return chosen
  }

  /// Indices of the drafts whose scheme a mix chooses: those that can be quantized, and that nothing else was asked for.
  /// - Throws: `Failure` for a rule that is unknown, malformed or fits nothing.
  func free(_ drafts: [TensorDraft]) throws -> [Int] {
    let asked = try asked(drafts)
    let tensors = presetTensors(drafts, asked: asked, scheme: nil)
    return drafts.indices.filter { tensors[$0].isQuantizable && asked[$0] == nil && drafts[$0].expectedScheme(asked: nil) == nil }
  }

  /// The drafts as a preset sees them.
  /// - Parameter scheme: the scheme for the whole model; nil if a preset chooses.
  private func presetTensors(_ drafts: [TensorDraft], asked: [AskedScheme?], scheme: (any Scheme)?) -> [PresetTensor] {
    let (format, packings) = (target.format, target.packings)
    let stacking = Stacks(source: source, model: model, target: target)
    let stacks = scheme.map { scheme in stacking.indices(drafts, in: packings.filter { $0.holds(scheme.grid) }) } ?? []
    let holder =
      scheme.flatMap { scheme in packings.first { $0.holds($0.stored(scheme).grid) } }
      ?? (mix == nil ? nil : packings.first { $0.holdsOuterMatrices })
    return drafts.indices.map { index in
      let draft = drafts[index]
      var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: draft.isQuantizable, id: draft.id)
      tensor.hasImportance = weighs
      tensor.configuration = source.configuration
      tensor.droppedBlocks = source.droppedBlocks
      // Clients of a packing for stacks look for codes nowhere else.
      let isOuter = holder?.holdsOuterMatrices == true && format.outerRole(draft.name, id: draft.id) != nil
      let isWanted = stacks.isEmpty ? isOuter || format.quantizes(tensor, as: scheme, model: model) : stacks.contains(index)
      tensor.isQuantizable = draft.isQuantizable && isWanted
      tensor.isDecided = asked[index]?.mayFallBack == true
      return tensor
    }
  }

  /// A scheme that was asked for by name.
  private struct AskedScheme {
    var name: String
    /// Whether it may fall back to what the format uses instead, for rows that it cannot hold.
    var mayFallBack = false
  }

  /// The scheme that was asked for, for each draft, or nil if none was: rules for tensors first, then what was asked for the
  /// embedding and the output matrix, then rules in the form of llama-quantize.
  /// - Throws: `Failure` of kind usage for a rule that is malformed or matches nothing, and if the model has no such matrix.
  private func asked(_ drafts: [TensorDraft]) throws -> [AskedScheme?] {
    // The drafts whose type can be chosen, which are those that llama-quantize searches. Norms are not.
    let typed = drafts.indices.filter { index in
      let draft = drafts[index]
      var tensor = PresetTensor(name: draft.name, shape: draft.shape, isQuantizable: draft.isQuantizable, id: draft.id)
      tensor.configuration = source.configuration
      return draft.isQuantizable && target.format.quantizes(tensor, as: FloatScheme.f32, model: model)
    }
    let names = drafts.map { (target: $0.name, source: $0.tensor.name) }
    let kept = request.keptTensors.map { "\($0)=\(Planner.keepName)" }
    let ruled = try TensorRules(request.tensorRules + kept).apply(to: names)
    var result = ruled.map { $0.map { AskedScheme(name: $0) } }
    for (index, scheme) in zip(typed, try TensorRules(types: request.tensorTypes).apply(to: typed.map { names[$0] })) {
      result[index] = result[index] ?? scheme.map { AskedScheme(name: $0, mayFallBack: true) }
    }
    func outerRole(_ draft: TensorDraft) -> TensorRole? { target.format.outerRole(draft.name, id: draft.id) }
    // A model without a separate output matrix multiplies with the embedding.
    let outputs = drafts.indices.filter { outerRole(drafts[$0]) == .output }
    let embeddings = drafts.indices.filter { outerRole(drafts[$0]) == .tokenEmbedding }
    let wanted = [
      ("output-scheme", "output matrix", request.outputScheme, outputs.isEmpty && request.embeddingScheme == nil ? embeddings : outputs),
      ("embedding-scheme", "embedding", request.embeddingScheme, embeddings),
    ]
    for (setting, matrix, scheme, indices) in wanted {
      guard let scheme else { continue }
      guard !indices.isEmpty else {
        throw Failure(
          .usage, "scheme.no-matrix", "the model has no \(matrix)", file: request.input,
          remedy: "Leave \(setting: setting) out; \(command: "plan") lists the tensors.")
      }
      for index in indices where ruled[index] == nil { result[index] = AskedScheme(name: scheme) }
    }
    return result
  }
}
