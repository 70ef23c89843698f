extension Importance {
  /// Gives every quantized matrix of a plan its importance.
  ///
  /// Few programs observe the embedding and the output matrix, which are outside of the blocks: only matrices of blocks are
  /// reported if they have no importance.
  /// - Parameters:
  ///   - format: what is written.
  ///   - selection: the entries that count; matrices whose entries do not count are not reported.
  ///   - source: the naming of the source's tensors.
  ///   - path: of the file, for messages.
  /// - Throws: `Failure` `importance.length` if an entry has another width, `importance.other-model` if no entry fits.
  func assign(
    to tensors: inout [PlannedTensor], of format: any CheckpointFormat.Type, _ selection: ImportanceSelection, model: ModelDescription?,
    source: Naming, path: String?, warnings: inout [String]
  ) throws(Failure) {
    var names: [TensorID: String] = [:]
    for tensor in model?.tensors ?? [] { names[tensor.id] = tensor.importanceName(naming, source: source) }
    var missing: [String] = []
    var matrices = 0
    var (unseen, silent): ([String], [String]) = ([], [])
    var unseenMatrices = 0
    for index in tensors.indices where Importance.weighs(tensors[index]) {
      let tensor = tensors[index]
      let isInBlock = !Importance.isOuter(tensor, format)
      if isInBlock { matrices += 1 }
      let name = tensor.id.flatMap { names[$0] } ?? tensor.name
      guard let entry = entries[name] else {
        if isInBlock { missing.append(tensor.name) }
        continue
      }
      guard selection.contains(name) else { continue }
      guard let own = entry.part(for: tensor) else {
        // The embedding is looked up, not multiplied with: what a file holds for it has another shape.
        if format.outerRole(tensor.name, id: tensor.id) == .tokenEmbedding { continue }
        let rows = "\(tensor.shape.count == 3 ? "\(tensor.shape[0]) matrices with " : "")rows of \(tensor.shape.last ?? 1) weights"
        throw Failure(
          .data, "importance.length", "has \(entry.meanSquares.count) mean squares for \(rows)",
          file: path, tensor: tensor.name, remedy: "Give a file that was made for this model.")
      }
      var values = own.meanSquares
      let replaced = Importance.replaceUnseen(&values, tokens: own.tokens, columns: tensor.shape.last ?? 1)
      unseenMatrices += replaced
      if replaced > 0 { unseen.append(tensor.name) }
      if values.contains(0) { silent.append(tensor.name) }
      tensors[index].importance = values
    }
    guard matrices > missing.count || matrices == 0 else {
      throw Failure(
        .data, "importance.other-model", "has no entry for any of the \(matrices) matrices to be quantized", file: path,
        remedy: "Give a file that was made for this model, with its tensor names.")
    }
    let named = (model?.tensors ?? []).compactMap { tensor in naming.flatMap { tensor.name($0) } }
    let known = Set(names.values).union(tensors.map(\.name)).union(named)
    let strangers = entries.keys.filter { !known.contains($0) && selection.contains($0) }.sorted()
    if let first = strangers.first {
      warnings.append(
        "\(strangers.count) of \(entries.count) entries of the importance file fit no tensor of the model, such as '\(first)': was it made"
          + " for this model?")
    }
    if let first = unseen.first {
      warnings.append(
        "\(unseenMatrices) quantized matrices have an importance of zero throughout, as where no token reached an expert, such as in "
          + "'\(first)': their columns count equally")
    }
    if let first = silent.first {
      warnings.append(
        "\(silent.count) of \(matrices) quantized tensors have columns of importance zero, in which errors do not count, such as "
          + "'\(first)'")
    }
    if let first = missing.first {
      warnings.append(
        "\(missing.count) of \(matrices) quantized matrices have no importance and are rounded without it, such as '\(first)'")
    }
  }

  /// Refuses to round without importance if a preset uses a scheme only with it, or the rule of a scheme needs it.
  /// - Parameters:
  ///   - observes: whether methods round matrices of blocks, and the output matrix, by what they observe themselves.
  ///   - path: of the importance file, or nil.
  /// - Throws: `Failure` `importance.required` that names the first such tensor.
  static func check(
    _ tensors: [PlannedTensor], of format: any CheckpointFormat.Type, model: ModelDescription?, observes: Bool, path: String?
  ) throws(Failure) {
    let head = tensors.head(of: model).map { tensors[$0].name }
    let lacking = tensors.first { tensor in
      guard tensor.importance == nil, tensor.repacking == nil, !tensor.isCopy else { return false }
      let isObserved = observes && (tensor.id?.block != nil || tensor.name == head)
      if isObserved { return false }
      switch tensor.scheme.importanceNeed {
      case .everything: return true
      case .layers: return !isOuter(tensor, format)
      case .none: return tensor.needsImportance && !isOuter(tensor, format)
      }
    }
    guard let lacking else { return }
    throw Failure(
      .unsupported, "importance.required",
      (lacking.scheme.importanceNeed != .none
        ? "rounding to \(lacking.scheme.name) needs importance"
        : "this preset uses \(lacking.scheme.name) only with importance")
        + (path == nil ? ", and none is given" : ", and no entry of the importance file counts for this tensor"),
      file: path, tensor: lacking.name,
      remedy: path == nil
        ? "Give \(setting: "importance") FILE, as written by \(command: "calibrate") or llama-imatrix, or another \(setting: "scheme")."
        : "Give this tensor another scheme with \(setting: "tensor") '\(lacking.name)=q4_k', or a file that has its importance.")
  }

  /// Whether this is the embedding or the output matrix, whose inputs few programs observe.
  private static func isOuter(_ tensor: PlannedTensor, _ format: any CheckpointFormat.Type) -> Bool {
    tensor.id.map { $0.block == nil } ?? (format.role(ofTensor: tensor.name) != nil)
  }

  private static func weighs(_ tensor: PlannedTensor) -> Bool {
    tensor.scheme.grid.kind != .float && tensor.shape.count >= 2 && !tensor.isCopy && tensor.id?.isBias != true
  }
}

extension ModelTensor {
  /// Its name in an importance file: by the file's naming, or the source's if the file's naming has no place for it. Nil for a
  /// matrix whose columns there are not its inputs.
  func importanceName(_ naming: Naming?, source: Naming) -> String? {
    guard let place = naming.flatMap({ place($0) }) ?? place(source) else { return nil }
    return place.layout.isTransposed && place.shape.count == 3 ? nil : place.name
  }

  /// How many matrices an importance file counts it as: those of a stack.
  func importanceCopies(_ naming: Naming?) -> Int {
    guard id.expert == nil, let place = naming.flatMap({ place($0) }), place.shape.count == 3 else { return 1 }
    return place.shape[0]
  }
}

extension Importance {
  /// Makes all columns of a matrix count equally where no token was seen: zeros would make its errors cost nothing.
  /// - Parameters:
  ///   - values: of one matrix, or of each in a stack.
  ///   - tokens: how many were seen by each matrix; of another length: by all together.
  /// - Returns: the number of such matrices.
  private static func replaceUnseen(_ values: inout [Float], tokens: [Int], columns: Int) -> Int {
    let count = values.count / max(1, columns)
    let unseen = (0..<count).filter { matrix in
      tokens.count == count && tokens[matrix] == 0 || values[matrix * columns..<(matrix + 1) * columns].allSatisfy { $0 == 0 }
    }
    for matrix in unseen { values.replaceSubrange(matrix * columns..<(matrix + 1) * columns, with: repeatElement(1, count: columns)) }
    return unseen.count
  }
}

extension Importance.Entry {
  /// What belongs to a tensor: one value per column, or for a stack of experts, one row of values per expert. Nil if the widths differ.
  fileprivate func part(for tensor: PlannedTensor) -> Importance.Entry? {
    let columns = tensor.shape.last ?? 1
    guard columns > 0, meanSquares.count.isMultiple(of: columns) else { return nil }
    let matrices = meanSquares.count / columns
    // A stack has the id of its first expert.
    if tensor.shape.count == 3 { return tensor.shape[0] == matrices ? self : nil }
    if matrices == 1 { return self }
    guard let expert = tensor.id?.expert, expert < matrices else { return nil }
    return Importance.Entry(
      meanSquares: Array(meanSquares[expert * columns..<(expert + 1) * columns]),
      tokens: tokens.count == matrices ? [tokens[expert]] : tokens)
  }
}
