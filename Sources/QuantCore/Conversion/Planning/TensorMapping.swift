/// Which source tensors each output tensor is made of. Nothing is lost: every source tensor is mapped, dropped by a rule that
/// is listed here, or an error.
struct TensorMapping {
  let source: Checkpoint
  /// What reads the source; nil for one that nobody read.
  let reader: (any CheckpointReader.Type)?
  var model: ModelDescription?
  let target: Naming
  /// Whether stacks of floats become codes where clients look for those one by one.
  var separatesStacks = false
  var predictions = PredictionChoice.kept
  /// What the user can do about towers that are left out.
  var wayForTowers = ""

  func drafts(warnings: inout [String]) throws -> [TensorDraft] {
    guard let model else { return source.tensors.map { unknownDraft($0) } }
    try checkTensors(model)
    if target == source.naming {
      let known = Dictionary(grouping: pieces(model)) { $0.source.name }
      return source.tensors.flatMap { tensor in known[tensor.name].map { drafts(of: tensor, $0) } ?? [unknownDraft(tensor)] }
    }
    try checkUnknown(model, &warnings)
    if model.head.isTied, let output = model.tensors.first(where: { $0.id.role == .output })?.place(source.naming),
      source[output.name] != nil
    {
      warnings.append("'\(output.name)' is dropped: the configuration ties the output to the embedding")
    }
    let pieces = pieces(model).filter { $0.id.role != .output || !model.head.isTied }
    return try renamed(predictions == .alone ? PredictionRequest.alone(pieces, model, file: source.path) : pieces)
  }

  /// Output tensors in the order of the forward pass, whatever the order of the shards.
  private func renamed(_ pieces: [TensorPiece]) throws -> [TensorDraft] {
    let groups = Dictionary(grouping: pieces) { $0.target.name }
    var drafts: [TensorDraft] = []
    var seen: Set<String> = []
    for piece in pieces where seen.insert(piece.target.name).inserted {
      let group = groups[piece.target.name] ?? []
      let tensors = group.compactMap { source[$0.source.name] }
      let rows = group.reduce(0) { $0 + $1.shape.reduce(1, *) }
      guard rows == piece.target.shape.reduce(1, *), let first = tensors.first else {
        throw Failure(
          .data, "model.tensor-missing", "the checkpoint has only some of the tensors that this one is made of", file: source.path,
          tensor: piece.target.name, remedy: "A shard may be missing, or the configuration belongs to another checkpoint.")
      }
      drafts.append(draft(group, tensors.first { $0.storage.elementType == nil } ?? first))
    }
    return drafts
  }

  /// What one tensor of the source becomes: one of the same name, or, for a stack that is taken apart, one for each of its matrices.
  private func drafts(of tensor: CheckpointTensor, _ pieces: [TensorPiece]) -> [TensorDraft] {
    let groups = Dictionary(grouping: pieces) { $0.target.name }
    var seen: Set<String> = []
    return pieces.filter { seen.insert($0.target.name).inserted }.compactMap { groups[$0.target.name].map { draft($0, tensor) } }
  }

  /// The model's tensors that the source holds and the target has a place for.
  private func pieces(_ model: ModelDescription) -> [TensorPiece] {
    model.tensors.compactMap { tensor in
      guard let from = tensor.place(source.naming), let stored = source[from.name] else { return nil }
      let ofCodes = separatesStacks && stored.storage.codes == nil ? tensor.placesOfCodes[target] : nil
      guard let to = ofCodes ?? tensor.place(target) else { return nil }
      return TensorPiece(id: tensor.id, shape: tensor.shape, source: from, target: to)
    }
  }

  private func draft(_ pieces: [TensorPiece], _ tensor: CheckpointTensor) -> TensorDraft {
    let kinds = pieces.compactMap { model?.kind(of: $0.id) }
    return TensorDraft(
      tensor: tensor, name: pieces.first?.target.name ?? tensor.name, shape: pieces.first?.target.shape ?? tensor.shape,
      pieces: pieces, isQuantizable: kinds.allSatisfy(\.isWeight) && pieces.allSatisfy { $0.target.schemes.isEmpty })
  }

  private func checkTensors(_ model: ModelDescription) throws {
    for tensor in model.tensors {
      guard let place = tensor.place(source.naming) else { continue }
      if let stored = source[place.name] {
        try place.check(stored, file: source.path)
      } else if !tensor.isOptional {
        throw missing(tensor.id, place)
      }
    }
  }

  private func missing(_ id: TensorID, _ place: TensorPlace) -> Failure {
    var remedy: Remedy = "A shard may be missing, or the configuration belongs to another checkpoint."
    if id.role == .output, !id.isBias {
      remedy =
        "If the embedding is the output matrix, set 'tie_word_embeddings' to true in the configuration, and give that with \(setting: "config")."
    } else if id.isBias {
      remedy = "The configuration announces biases; if the model has none, correct the configuration."
    }
    var reason = "a tensor that the configuration asks for is missing"
    let layer = place.name.hasSuffix(".weight") ? String(place.name.dropLast(".weight".count)) : place.name
    if let longer = source.tensors.first(where: { $0.name.hasSuffix("." + place.name) })?.name {
      reason += "; it is stored as '\(longer)'"
      remedy =
        "The model is part of another, under '\(String(longer.dropLast(place.name.count + 1)))': save that part alone (save_pretrained of the inner model)."
    } else if source.tensors.contains(where: { $0.name.hasPrefix(layer + ".parametrizations.") || $0.name == layer + ".weight_g" }) {
      reason += "; parts from which it is computed are stored instead"
      remedy = "Remove the parametrization in PyTorch (torch.nn.utils.parametrize.remove_parametrizations), and save the model again."
    }
    return Failure(.data, "model.tensor-missing", reason, file: source.path, tensor: place.name, remedy: remedy)
  }

  private func checkUnknown(_ model: ModelDescription, _ warnings: inout [String]) throws {
    var (others, redundant): ([String], [String]) = ([], [])
    // Those that are not zero were refused with the description.
    let biases = Set(UnannouncedBiases.names(in: source, model))
    if let first = biases.sorted().first {
      warnings.append("\(biases.count) biases that the configuration does not announce are zero and left out, such as '\(first)'")
    }
    let known = Set(model.tensors.compactMap { $0.place(source.naming)?.name })
    for tensor in source.tensors where !known.contains(tensor.name) && !biases.contains(tensor.name) {
      if reader?.isRedundant(tensor.name) == true {
        redundant.append(tensor.name)
        continue
      }
      if model.isOfOtherPart(tensor.name, source.naming) {
        others.append(tensor.name)
        continue
      }
      throw Failure(
        .unsupported, "convert.unmapped", "family '\(model.family)' has no such tensor", file: source.path, tensor: tensor.name,
        remedy:
          "If the model works without it, leave it out with \(setting: "drop") PATTERN; otherwise its configuration is of another architecture."
      )
    }
    if let first = redundant.first {
      warnings.append("\(redundant.count) tensors that clients compute or do without are left out, such as '\(first)'")
    }
    let predicting = others.filter { model.isOfPrediction($0) }
    if let first = predicting.first {
      warnings.append(
        "\(predicting.count) tensors of blocks that predict further tokens are left out, such as '\(first)': the output has no place for "
          + "blocks of this kind")
      others.removeAll { model.isOfPrediction($0) }
    }
    if let first = others.first, !model.isOfTowers {
      warnings.append(
        "\(others.count) tensors of other parts than the language model are left out, such as '\(first)'\(wayForTowers)")
    }
  }

  /// A tensor that no family describes keeps its name; whether it may be quantized is the container's decision.
  private func unknownDraft(_ tensor: CheckpointTensor) -> TensorDraft {
    TensorDraft(
      tensor: tensor, name: tensor.name, shape: tensor.shape, pieces: [],
      isQuantizable: tensor.storage.isNumeric && tensor.shape.count >= 2 && !tensor.shape.contains(0)
        && !(model?.isOfOtherPart(tensor.name, source.naming) ?? false))
  }
}
