/// Finds the weights of a model that an adapter changes, by the names and in the layout of a format.
struct AdapterMapping {
  /// The model that is changed.
  let base: Checkpoint
  /// Nil: no family knows the model, and the adapter's names must be those of `base`.
  let model: ModelDescription?
  /// The naming whose names and layouts the result has.
  let target: Naming
  /// The adapter's path, for messages.
  let file: String

  /// The adapter as the format would hold it: every update has the name of a tensor of the format, and its rows in that order.
  /// - Throws: `Failure` `adapter.…` if something in it belongs to no weight of the model, or has another shape.
  func callAsFunction(_ adapter: LowRankAdapter) throws(Failure) -> LowRankAdapter {
    var result = adapter
    result.naming = target
    result.updates = []
    let names = KnownNames(try names(adapter.naming), file: file, basePath: base.path)
    for var update in adapter.updates {
      update.target = try names.resolve(update.target)
      result.updates += try place(update, from: adapter.naming)
    }
    result.replacements = []
    for var tensor in adapter.replacements {
      tensor.name = try names.resolve(tensor.name)
      guard adapter.naming == target else {
        throw Failure(
          .unsupported, "adapter.replacement", "the adapter replaces this tensor as a whole, which cannot be converted to another format",
          file: file, tensor: tensor.name, remedy: "Merge the adapter into its model with \(setting: "lora"), from the original folder.")
      }
      result.replacements.append(tensor)
    }
    return result
  }

  /// The model's tensors by their names in a naming.
  /// - Throws: `Failure` if no family can translate them.
  private func names(_ naming: Naming) throws(Failure) -> [String] {
    if naming == base.naming { return base.tensors.map(\.name) }
    guard let model else {
      throw Failure(
        .unsupported, "adapter.family", "the adapter names tensors differently from the model, and no family translates the names",
        file: base.path, remedy: "Give the model in the format that the adapter was made for.")
    }
    return model.tensors.filter { $0.name(base.naming).flatMap { base[$0] } != nil }.compactMap { $0.name(naming) }
  }

  // MARK: Places

  private func place(_ update: LowRankUpdate, from naming: Naming) throws(Failure) -> [LowRankUpdate] {
    let held = model?.tensors.filter { $0.name(naming) == update.target } ?? []
    guard !held.isEmpty else {
      // Only the shape of the tensor is known.
      guard naming == target, naming == base.naming else { throw missing(update.target) }
      try check(update, against: base[update.target]?.shape ?? [])
      return [update]
    }
    try checkTie(update, held)
    var rows: [String: [(from: Int, to: Int)]] = [:]
    var places: [TensorPlace] = []
    for tensor in held {
      // Updates are split as the description says, and are added to rows as they are stored.
      if let own = tensor.place(base.naming), let stored = base[own.name] { try own.check(stored, file: base.path) }
      guard let from = tensor.place(naming) else { continue }
      let count = tensor.shape[0]
      let first = from.layout.containerRow(of: 0, rows: count) - update.firstOutput
      // Another expert of the stack.
      guard first >= 0, first < update.outputs.channelCount else { continue }
      guard let to = tensor.place(target), to.layout.values == from.layout.values, to.layout.columns == from.layout.columns else {
        throw noPlace(update)
      }
      // An update of a transposed matrix has one stride for all its outputs.
      guard !to.layout.isTransposed || to.shape.count < 3 else { throw noPlace(update) }
      guard tensor.shape.count == 2, tensor.shape[1] == update.inputs.channelCount else {
        throw wrongShape(update, tensor.shape)
      }
      for row in 0..<count {
        let source = from.layout.containerRow(of: row, rows: count) - update.firstOutput
        guard source < update.outputs.channelCount else { throw wrongShape(update, from.shape) }
        rows[to.name, default: []].append((source, to.layout.containerRow(of: row, rows: count)))
      }
      if !places.contains(where: { $0.name == to.name }) { places.append(to) }
    }
    guard rows.values.reduce(0, { $0 + $1.count }) == update.outputs.channelCount else {
      throw wrongShape(update, held.first?.place(naming)?.shape ?? [])
    }
    return try places.map { (place) throws(Failure) in
      try moved(update, to: place, rows: (rows[place.name] ?? []).sorted { $0.to < $1.to })
    }
  }

  private func moved(
    _ update: LowRankUpdate, to place: TensorPlace, rows: [(from: Int, to: Int)]
  ) throws(Failure) -> LowRankUpdate {
    let first = rows.first?.to ?? 0
    guard zip(rows, first...).allSatisfy({ $0.to == $1 }) else { throw noPlace(update) }
    var copy = update
    copy.target = place.name
    copy.firstOutput = first
    copy.stackCount = place.shape.count == 3 ? place.shape[0] : nil
    copy.isTransposed = place.layout.isTransposed
    let isWhole = rows.count == update.outputs.channelCount
    if !isWhole || !zip(rows, 0...).allSatisfy({ $0.from == $1 }) { copy.outputs = update.outputs.taking(rows.map(\.from)) }
    return copy
  }

  // MARK: Checks

  private func check(_ update: LowRankUpdate, against shape: [Int]) throws(Failure) {
    guard shape == update.shape else { throw wrongShape(update, shape) }
  }

  /// A tied output matrix is the embedding: an adapter that changes one of them would change both.
  private func checkTie(_ update: LowRankUpdate, _ held: [ModelTensor]) throws(Failure) {
    guard model?.head.isTied == true, held.contains(where: { $0.id.role == .tokenEmbedding }) else { return }
    throw AdapterMapping.tied(update.target, file: file)
  }

  static func tied(_ name: String, file: String) -> Failure {
    Failure(
      .unsupported, "adapter.tied", "the adapter changes the embedding, which is also this model's output matrix, so both would change",
      file: file, tensor: name,
      remedy: "Save the model with a separate output matrix ('tie_word_embeddings' false) and use that.")
  }

  private func wrongShape(_ update: LowRankUpdate, _ shape: [Int]) -> Failure {
    Failure(
      .data, "adapter.shape",
      "the adapter changes \(update.outputs.channelCount) outputs of \(update.inputs.channelCount) inputs, "
        + "but the model's tensor has shape \(shape)", file: file, tensor: update.target,
      remedy: "Give the model that the adapter was made for.")
  }

  private func missing(_ name: String) -> Failure { KnownNames.missing(name, file: file, basePath: base.path) }

  private func noPlace(_ update: LowRankUpdate) -> Failure {
    Failure(
      .unsupported, "adapter.no-place", "has no separate place in the other format", file: file, tensor: update.target,
      remedy: "Merge the adapter into its model with \(setting: "lora").")
  }
}

/// Names that an adapter may use, with or without the prefix that some checkpoints of the same model have.
private struct KnownNames {
  private let known: Set<String>
  /// By the name without its first word.
  private let shortened: [String: String]
  private let file: String
  private let basePath: String

  init(_ names: [String], file: String, basePath: String) {
    known = Set(names)
    shortened = Dictionary(names.map { (KnownNames.withoutFirstWord($0), $0) }, uniquingKeysWith: { first, _ in first })
    self.file = file
    self.basePath = basePath
  }

  /// The model's own name for a tensor: `transformer.h.0…` may be stored as `h.0…`, and vice versa.
  func resolve(_ name: String) throws(Failure) -> String {
    if known.contains(name) { return name }
    let short = KnownNames.withoutFirstWord(name)
    if known.contains(short) { return short }
    if let long = shortened[name] { return long }
    throw KnownNames.missing(name, file: file, basePath: basePath)
  }

  static func missing(_ name: String, file: String, basePath: String) -> Failure {
    Failure(
      .data, "adapter.no-tensor", "the adapter changes this tensor, which '\(Files.lastComponent(basePath))' does not have", file: file,
      tensor: name, remedy: "Give the model that the adapter was made for.")
  }

  private static func withoutFirstWord(_ name: String) -> String {
    name.split(separator: ".", maxSplits: 1).last.map { String($0) } ?? name
  }
}
