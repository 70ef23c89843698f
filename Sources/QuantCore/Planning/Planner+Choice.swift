/// Which tensors there are, and what a person asked for some of them, whatever holds for the others.
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

  /// A scheme that was asked for by name.
  struct AskedScheme {
    var name: String
    /// Whether it may give way to what the container puts in its place, in rows that it cannot hold.
    var mayFallBack = false
  }

  /// The scheme that was asked for each draft, or nil where nothing was: rules for tensors first, then what was asked for the
  /// embedding and the output matrix, then rules in the form of llama-quantize.
  /// - Throws: `Failure` of kind usage for a rule that is malformed or matches nothing, and where the model has no such matrix.
  func asked(_ drafts: [TensorMapping.Draft], _ request: ConversionRequest) throws -> [AskedScheme?] {
    let names = drafts.map { (target: $0.name, source: $0.tensor.name) }
    let kept = request.keptTensors.map { "\($0)=\(Planner.keepName)" }
    let ruled = try TensorRules(request.tensorRules + kept).apply(to: names)
    let typed = try TensorRules(types: request.tensorTypes).apply(to: names)
    var result = typed.indices.map { index in
      ruled[index].map { AskedScheme(name: $0) } ?? typed[index].map { AskedScheme(name: $0, mayFallBack: true) }
    }
    // A model without an output matrix of its own multiplies with the embedding.
    let outputs = drafts.indices.filter { Planner.isMatrix(drafts[$0], .output) }
    let embeddings = drafts.indices.filter { Planner.isMatrix(drafts[$0], .tokenEmbedding) }
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

  /// Whether a draft is the embedding or the output matrix, by its part in the model or, without a family, by the names that
  /// containers give them.
  private static func isMatrix(_ draft: TensorMapping.Draft, _ role: TensorRole) -> Bool {
    if let id = draft.id { return id.role == role && !id.isBias }
    let names =
      role == .output
      ? ["output.weight", "lm_head.weight"] : ["token_embd.weight", "per_layer_token_embd.weight", "model.embed_tokens.weight"]
    return names.contains(draft.name)
  }
}
