extension Importance {
  /// Gives every quantized matrix of a plan what it weighs its columns with.
  ///
  /// Embedding and output stand outside of the blocks, and are observed by few programs: only the lack of others is told.
  /// - Parameters:
  ///   - format: what is written.
  ///   - selection: the entries that count; the lack of others is not told.
  ///   - source: whose names the source's tensors have.
  ///   - path: of the file, for messages.
  /// - Throws: `Failure` `importance.length` where an entry is of another width, `importance.other-model` where none fits.
  func assign(
    to tensors: inout [PlannedTensor], of format: any CheckpointFormat.Type, _ selection: ImportanceSelection, model: ModelDescription?,
    source: Naming, path: String?, warnings: inout [String]
  ) throws(Failure) {
    var names: [TensorID: String] = [:]
    for tensor in model?.tensors ?? [] { names[tensor.id] = tensor.importanceName(naming, source: source) }
    var missing: [String] = []
    var matrices = 0
    for index in tensors.indices where Importance.weighs(tensors[index]) {
      let tensor = tensors[index]
      let isInBlock = !Importance.standsOutside(tensor, format)
      if isInBlock { matrices += 1 }
      let name = tensor.id.flatMap { names[$0] } ?? tensor.name
      guard let entry = entries[name] else {
        if isInBlock { missing.append(tensor.name) }
        continue
      }
      guard selection.contains(name) else { continue }
      guard let values = entry.values(for: tensor) else {
        // The embedding is looked up and not multiplied with: what a file holds for it is of another shape.
        if format.outerRole(tensor.name, id: tensor.id) == .tokenEmbedding { continue }
        throw Failure(
          .data, "importance.length", "has \(entry.meanSquares.count) mean squares for rows of \(tensor.shape.last ?? 1) weights",
          file: path, tensor: tensor.name, remedy: "The file was made for another model.")
      }
      tensors[index].importance = values
    }
    guard matrices > missing.count || matrices == 0 else {
      throw Failure(
        .data, "importance.other-model", "has no entry for any of the \(matrices) matrices to be quantized", file: path,
        remedy: "The file was made for another model, or under other tensor names.")
    }
    if let first = missing.first {
      warnings.append(
        "\(missing.count) of \(matrices) quantized matrices have no importance and are rounded without, such as '\(first)'")
    }
  }

  /// Refuses to round without importance what a preset takes only with it, and schemes whose rule is meant for it.
  /// - Parameters:
  ///   - observes: whether methods observe the inputs of blocks themselves.
  ///   - path: of the file of importance, or nil.
  /// - Throws: `Failure` `importance.required` that names the first such tensor.
  static func check(
    _ tensors: [PlannedTensor], of format: any CheckpointFormat.Type, observes: Bool, path: String?
  ) throws(Failure) {
    let lacking = tensors.first { tensor in
      guard tensor.importance == nil, tensor.adoption == nil, !tensor.isCopy else { return false }
      let isObserved = observes && tensor.id?.block != nil
      switch tensor.scheme.importanceNeed {
      case .everything: return true
      case .layers: return !standsOutside(tensor, format)
      case .none: return tensor.needsImportance && !isObserved && !standsOutside(tensor, format)
      }
    }
    guard let lacking else { return }
    throw Failure(
      .unsupported, "importance.required",
      (lacking.scheme.importanceNeed != .none
        ? "\(lacking.scheme.name) needs to know what errors in each column weigh"
        : "this preset rounds to \(lacking.scheme.name) with importance only")
        + (path == nil ? ", and no importance is given" : ", and the file of importance has no entry for this tensor that counts"),
      file: path, tensor: lacking.name,
      remedy: path == nil
        ? "Give --importance FILE, which 'qconvert calibrate' or llama-imatrix writes, or another --scheme."
        : "Give this tensor another scheme with --tensor '\(lacking.name)=q4_k', or observe it.")
  }

  /// Whether this is no matrix of a block: few programs observe what reaches the embedding and the output.
  private static func standsOutside(_ tensor: PlannedTensor, _ format: any CheckpointFormat.Type) -> Bool {
    tensor.id.map { $0.block == nil } ?? (format.role(ofTensor: tensor.name) != nil)
  }

  private static func weighs(_ tensor: PlannedTensor) -> Bool {
    tensor.scheme.grid.kind != .float && tensor.shape.count >= 2 && !tensor.isCopy && tensor.id?.isBias != true
  }
}

extension ModelTensor {
  /// What a file of importance calls it: by the file's own naming, or as the source does where that has no place for it. Nil for a matrix
  /// whose columns there are not its inputs.
  func importanceName(_ naming: Naming?, source: Naming) -> String? {
    guard let place = naming.flatMap({ place($0) }) ?? place(source) else { return nil }
    return place.layout.isTransposed && place.shape.count == 3 ? nil : place.name
  }

  /// Matrices of a stack into which a file of importance cuts it.
  func importanceCopies(_ naming: Naming?) -> Int {
    guard id.expert == nil, let place = naming.flatMap({ place($0) }), place.shape.count == 3 else { return 1 }
    return place.shape[0]
  }
}

extension Importance.Entry {
  /// One number per column of a tensor; of a stack of experts, one row of numbers for each of them. Nil where the widths
  /// differ.
  fileprivate func values(for tensor: PlannedTensor) -> [Float]? {
    let columns = tensor.shape.last ?? 1
    if meanSquares.count == columns { return meanSquares }
    guard columns > 0, meanSquares.count.isMultiple(of: columns) else { return nil }
    let experts = meanSquares.count / columns
    // A stack carries the identity of its first expert.
    if tensor.shape.count == 3 { return tensor.shape[0] == experts ? meanSquares : nil }
    guard let expert = tensor.id?.expert, expert < experts else { return nil }
    return Array(meanSquares[expert * columns..<(expert + 1) * columns])
  }
}
