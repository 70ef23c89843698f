import QuantCore

/// Whether a setting changes anything, judged by the plan that was made with it. No setting is silently ignored.
struct Effect: Sendable {
  /// What a verdict is based on.
  struct Situation: Sendable {
    /// The settings that were given, without the defaults that follow from them.
    let recipe: Recipe
    /// The input as it was opened.
    let input: Checkpoint
    let plan: ConversionPlan
    let registry: Registry
  }

  enum Verdict: Sendable {
    /// The setting does what it says, or will if the occasion arises.
    case effective
    /// It changes nothing, and the output is what was asked for: a warning.
    case harmless(String)
    /// It changes nothing, and whoever gave it expects a different output: refused, with what to do instead.
    case mistaken(String, remedy: Remedy)
  }

  let verdict: @Sendable (Situation) -> Verdict

  /// For permissions, for settings that are refused elsewhere if they cannot be followed, and for those that always matter.
  static let always = Effect { _ in .effective }
}

// MARK: - What is rounded

extension Effect {
  static let packing = Effect { situation in
    let wanted = situation.recipe.conversion.packing
    if wanted == PlainPacking.id || situation.plan.tensors.contains(where: { type(of: $0.packing).id == wanted }) { return .effective }
    return .mistaken("no tensor of the output uses this packing", remedy: "Give a --scheme that quantizes, or leave it out.")
  }

  static let activations = Effect { situation in
    let name = situation.recipe.conversion.activations
    let planned = situation.plan.tensors.compactMap { $0.activations?.name }
    if name == "none" {
      if planned.isEmpty { return .effective }
      return .mistaken("layers whose codes are kept store how their inputs are rounded", remedy: "Leave it out, or give a --scheme.")
    }
    if let name, let wanted = ActivationScheme(named: name)?.name, planned.contains(wanted) { return .effective }
    return .mistaken(
      "only inputs of newly quantized layers are rounded, and no layer is newly quantized",
      remedy: "Give a --scheme that quantizes layers, or leave it out.")
  }

  static let calibrator = Effect { situation in
    if situation.plan.tensors.contains(where: { $0.calibrated != nil }) { return .effective }
    return .mistaken(
      "the output stores no activation scale that is found on text",
      remedy: "Give a preset or --activations with stored scales, or --kv-cache; or leave it out.")
  }

  static let pure = Effect { situation in
    let scheme = situation.plan.request.scheme ?? ""
    return situation.registry.preset(scheme) != nil ? .effective : .harmless("'\(scheme)' is not a preset")
  }

  static let search = Effect { situation in
    if situation.rounded.contains(where: { situation.scheme($0)?.widerSearch != nil }) { return .effective }
    return .mistaken(
      "no tensor is rounded to a scheme that has a wider search",
      remedy: "Leave it out, or give a --scheme that has one: integers, such as int4-g128, or most GGUF block types, such as q4_k.")
  }

  static let methods = Effect { situation in
    let isIdle = situation.rounded.isEmpty && situation.plan.methods.allSatisfy { $0.statistics.isEmpty }
    return isIdle ? .harmless("nothing is rounded") : .effective
  }

  static let quality = Effect { situation in
    situation.rounded.isEmpty ? .harmless("nothing is rounded") : .effective
  }

  static let keep = Effect { situation in
    let request = situation.plan.request
    let others = request.tensorRules + request.tensorTypes + [request.outputScheme, request.embeddingScheme].compactMap { $0 }
    return request.scheme == Planner.keepName && others.isEmpty ? .harmless("--scheme keep keeps every tensor") : .effective
  }

  static let importance = Effect { situation in
    let weighed = situation.plan.tensors.filter { $0.importance != nil }
    if weighed.isEmpty {
      return .mistaken("no tensor is rounded to a scheme that weighs errors", remedy: "Give a --scheme that quantizes, or leave it out.")
    }
    let isUsed = !situation.plan.methods.isEmpty || weighed.contains { $0.scheme.grid.kind == .block }
    return isUsed
      ? .effective
      : .mistaken("only GGUF block types weigh errors", remedy: "Leave it out; --plugin awq and gptq use --calibration or --stats.")
  }
}

// MARK: - What is observed

extension Effect {
  private static func observation(_ situation: Situation) -> Verdict {
    let plan = situation.plan
    if plan.calibration != nil || plan.sizes != nil && plan.request.size.analysisPath == nil { return .effective }
    if let method = plan.methods.first { return .harmless("method '\(type(of: method).id)' observes nothing") }
    return .mistaken(
      "nothing in this conversion observes the model on text",
      remedy: "Give a --plugin that does ('qconvert plugins' shows which require calibration), or leave it out.")
  }

  /// For a text or statistics: whoever gives them expects them to be used.
  static let observation = Effect { observation($0) }

  /// For how a text is observed: scripts give such settings to every run, whether it observes or not.
  static let mannerOfObservation = Effect { manner($0) }

  private static func manner(_ situation: Situation) -> Verdict {
    guard case .mistaken(let reason, _) = observation(situation) else { return observation(situation) }
    return .harmless(reason)
  }

  /// For BOS, which begins the windows of an evaluation too.
  static let beginning = Effect { $0.recipe.evaluation.text.isEmpty ? manner($0) : .effective }

  static let products = Effect { situation in
    situation.plan.statistics == nil ? manner(situation) : .harmless("the statistics come from --stats, and the model is not run")
  }
}

// MARK: - What is read and written

extension Effect {
  /// For settings that describe the model that an adapter was made for.
  static let base = Effect { situation in
    if situation.input.content == .model || situation.input.naming != situation.plan.format.naming { return .effective }
    return .harmless("IN and OUT name the adapter's tensors in the same way")
  }

  static let tokenizer = Effect { situation in
    let plan = situation.plan
    if plan.format.isFolder || plan.format.naming != situation.input.naming || situation.readsText { return .effective }
    return .mistaken("OUT gets no tokenizer other than IN's, and no text is read", remedy: "Leave it out.")
  }

  static let preTokenizer = Effect { situation in
    if situation.plan.format.holdsKeyValues || situation.readsText { return .effective }
    return .mistaken("only a GGUF stores the name of a pre-tokenizer, and no text is read", remedy: "Leave it out, or write a .gguf file.")
  }

  static let shardSize = Effect { situation in
    guard situation.recipe.conversion.keepsSplit else { return .effective }
    return .mistaken("--keep-split splits OUT where IN is split", remedy: "Give only one of them.")
  }

  static let keepSplit = Effect { situation in
    guard situation.input.format == situation.plan.format.id, !situation.input.fileIndices.isEmpty else {
      return .mistaken("only a GGUF made from a GGUF in shards can keep them", remedy: "Give --shard-size SIZE instead.")
    }
    return situation.input.files.count > 1 ? .effective : .harmless("IN is one file")
  }

  static let evaluationText = Effect { situation in
    let request = situation.plan.request
    if request.writesTowers {
      return .mistaken("towers cannot be evaluated on text", remedy: "Leave it out, or convert the language model without --mmproj.")
    }
    guard request.predictions == .alone else { return .effective }
    return .mistaken("blocks that predict further tokens cannot be evaluated alone", remedy: "Leave it out, or convert without --mtp.")
  }

  static let keepRejected = Effect { situation in
    situation.recipe.gates.isEmpty ? .harmless("there is no --fail-if that could reject the output") : .effective
  }

  static let evaluation = Effect { situation in
    guard situation.recipe.evaluation.text.isEmpty else { return .effective }
    return .mistaken("nothing is evaluated", remedy: "Give --eval-text FILE, or leave it out.")
  }
}

extension Effect.Situation {
  /// Tensors whose weights are rounded to a quantized scheme.
  var rounded: [PlannedTensor] { plan.tensors.filter { $0.scheme.grid.kind != .float && $0.repacking == nil && !$0.isCopy } }

  /// The scheme that is registered under the name of a tensor's scheme.
  func scheme(_ tensor: PlannedTensor) -> (any Scheme)? { try? registry.scheme(tensor.scheme.name, modelType: .f16) }

  /// Whether any text is tokenised.
  var readsText: Bool { plan.calibration != nil && plan.statistics == nil || !recipe.evaluation.text.isEmpty }
}
