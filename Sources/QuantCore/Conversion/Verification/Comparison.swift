import Synchronization

/// Compares two checkpoints of one model, tensor by tensor, as the model sees them: names, row orders and packings of the formats
/// do not count.
public struct Comparison: Sendable {
  /// How two tensors compare.
  public enum Verdict: String, Sendable, CaseIterable {
    /// Equal weights, stored the same way.
    case equal
    /// Equal weights, bit for bit, stored in different ways.
    case repacked = "re-packed"
    case different
    /// One of the checkpoints lacks it.
    case missing
  }

  /// The comparison of one tensor.
  public struct Tensor: Sendable {
    /// Name in the first checkpoint; in the second if the first lacks it.
    public var name: String
    public var verdict: Verdict
    /// Schemes in which it is stored; nil if it is missing.
    public var schemes: (first: String?, second: String?)
    /// ‖second − first‖ / ‖first‖; nil if nothing could be computed.
    public var relativeError: Double?
    /// Cosine of the angle between the two as vectors.
    public var cosine: Double?
    /// max |second − first|.
    public var largestDeviation: Double?

    /// Signal to noise in dB: 20 log10(‖first‖ / ‖second − first‖); infinite for equal values.
    public var signalToNoise: Double? {
      relativeError.map { $0 == 0 ? .infinity : $0.isFinite ? -20 / 2.302585092994046 * Power.logarithm($0) : $0 }
    }
  }

  /// In the order of the first checkpoint; those that it lacks come last.
  public private(set) var tensors: [Tensor] = []

  private let parallel: Parallel

  /// - Throws: `Failure` if the checkpoints name their tensors differently and no family knows the model, or a tensor does not have
  ///   the shape that the configuration asks for.
  public init(_ first: Checkpoint, _ second: Checkpoint, opening: Opening, threads: Int) throws {
    parallel = Parallel(threads: threads)
    let pairs = try first.naming == second.naming ? Comparison.byName(first, second, opening) : Comparison.byPart(first, second, opening)
    let isStoredAlike = first.format == second.format && first.quantization == second.quantization
    for pair in pairs { tensors.append(try compare(pair, isStoredAlike: isStoredAlike)) }
  }

  /// Whether no tensor is different or missing.
  public var holds: Bool { tensors.allSatisfy { $0.verdict == .equal || $0.verdict == .repacked } }

  // MARK: Pairs

  private struct Pair {
    var name: String
    /// The tensor and the scheme that it is stored in.
    var first: (tensor: PlacedTensor, scheme: String, isNumeric: Bool)?
    var second: (tensor: PlacedTensor, scheme: String, isNumeric: Bool)?
    /// For data that is not numeric: whether it is the same.
    var isSameData = false
  }

  private static func byName(_ first: Checkpoint, _ second: Checkpoint, _ opening: Opening) -> [Pair] {
    let packings = opening.registry.packings
    let (first, second) = (first.withStacksAsFloats(packings), second.withStacksAsFloats(packings))
    let names = first.tensors.map { $0.name } + second.tensors.map { $0.name }.filter { first[$0] == nil }
    return names.map { name in
      let stored = (first[name], second[name])
      return Pair(
        name: name, first: stored.0.map { place($0) }, second: stored.1.map { place($0) },
        isSameData: stored.0.flatMap { a in stored.1.map { a.hasSameContent(as: $0) } } ?? false)
    }
  }

  private static func place(_ tensor: CheckpointTensor) -> (tensor: PlacedTensor, scheme: String, isNumeric: Bool) {
    (PlacedTensor(whole: tensor), tensor.storage.schemeName, tensor.storage.isNumeric)
  }

  private static func byPart(_ first: Checkpoint, _ second: Checkpoint, _ opening: Opening) throws -> [Pair] {
    let models = try describe(first, second, opening)
    let others = Dictionary(models.1.tensors.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
    func place(
      _ tensor: ModelTensor?, in checkpoint: Checkpoint
    ) throws(Failure) -> (tensor: PlacedTensor, scheme: String, isNumeric: Bool)? {
      guard let tensor, let place = tensor.place(checkpoint.naming), let stored = checkpoint[place.name] else { return nil }
      let placed = try PlacedTensor(stored, at: place, shape: tensor.shape, file: checkpoint.path)
      return (placed, stored.storage.schemeName, stored.storage.isNumeric)
    }
    return try models.0.tensors.compactMap { tensor in
      let pair = Pair(
        name: tensor.name(first.naming) ?? "", first: try place(tensor, in: first), second: try place(others[tensor.id], in: second))
      // Computed tables and tied output matrices are in one of the formats only.
      let isOfBoth = tensor.place(second.naming) != nil && tensor.place(first.naming) != nil && tensor.kind != .constant
      return isOfBoth && !(tensor.isOptional && (pair.first == nil || pair.second == nil)) ? pair : nil
    }
  }

  /// The descriptions of two checkpoints. A file of towers alone (mmproj) does not say what they are; the model that has them does.
  private static func describe(
    _ first: Checkpoint, _ second: Checkpoint, _ opening: Opening
  ) throws -> (ModelDescription, ModelDescription) {
    for (model, file) in [(first, second), (second, first)] where opening.family(of: file) == nil && opening.tower(of: model) != nil {
      let towers = try opening.describeTowers(model)
      let isOfTowers = towers.tensors.contains { $0.place(file.naming).map { file[$0.name] != nil } ?? false }
      if isOfTowers { return (towers, towers) }
    }
    return (try opening.describe(first), try opening.describe(second))
  }

  // MARK: Numbers

  private struct Sums {
    var error = 0.0, first = 0.0, second = 0.0, product = 0.0, deviation = 0.0
  }

  private func compare(_ pair: Pair, isStoredAlike: Bool) throws(Failure) -> Tensor {
    guard let first = pair.first, let second = pair.second else {
      return Tensor(name: pair.name, verdict: .missing, schemes: (pair.first?.scheme, pair.second?.scheme))
    }
    var result = Tensor(name: pair.name, verdict: .different, schemes: (first.scheme, second.scheme))
    guard first.tensor.shape == second.tensor.shape else { return result }
    guard first.isNumeric, second.isNumeric else {
      if pair.isSameData { result.verdict = .equal }
      return result
    }
    let sums = sums(first.tensor, second.tensor)
    result.relativeError = sums.first > 0 ? (sums.error / sums.first).squareRoot() : sums.error == 0 ? 0 : .infinity
    let product = (sums.first * sums.second).squareRoot()
    result.cosine = product > 0 ? sums.product / product : sums.first == sums.second ? 1 : 0
    result.largestDeviation = sums.deviation
    // NaN is not equal to anything.
    // Plain floats of the same type are stored the same way everywhere.
    let isAlike = first.scheme == second.scheme && (isStoredAlike || ElementType(schemeName: first.scheme) != nil)
    if sums.error == 0 { result.verdict = isAlike ? .equal : .repacked }
    return result
  }

  /// Computed in pieces of rows, whose sums are added in order.
  private func sums(_ first: PlacedTensor, _ second: PlacedTensor) -> Sums {
    let columns = max(1, first.shape.last ?? 1)
    let rows = first.shape.count < 2 ? 1 : first.shape.dropLast().reduce(1, *)
    let piece = max(1, (1 << 18) / columns)
    let count = (rows + piece - 1) / piece
    let partial = Mutex([Sums](repeating: Sums(), count: count))
    let whole = first.readsWhole || second.readsWhole ? (first.values(parallel), second.values(parallel)) : nil
    parallel.forEach(count) { index in
      let range = index * piece..<min(rows, (index + 1) * piece)
      let values = range.lowerBound * columns..<range.upperBound * columns
      let sums =
        whole.map { Comparison.sums($0.0[values], $0.1[values]) }
        ?? Comparison.sums(first.values(range)[...], second.values(range)[...])
      partial.withLock { $0[index] = sums }
    }
    return partial.withLock { parts in
      parts.reduce(into: Sums()) { total, part in
        total.error += part.error
        total.first += part.first
        total.second += part.second
        total.product += part.product
        total.deviation = part.deviation > total.deviation || part.deviation.isNaN ? part.deviation : total.deviation
      }
    }
  }

  private static func sums(_ first: ArraySlice<Float>, _ second: ArraySlice<Float>) -> Sums {
    var sums = Sums()
    for (a, b) in zip(first, second) {
      let a = Double(a), b = Double(b)
      sums.error += (b - a) * (b - a)
      sums.first += a * a
      sums.second += b * b
      sums.product += a * b
      sums.deviation = max(sums.deviation, abs(b - a))
    }
    return sums
  }
}

extension PlacedTensor {
  /// Whether single rows cannot be decoded without reading all of it.
  fileprivate var readsWhole: Bool { isTransposed || shape.count < 2 }

  /// Some rows of a matrix.
  fileprivate func values(_ rows: Range<Int>) -> [Float] {
    let count = rows.count * (shape.last ?? 1)
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let base = buffer.baseAddress { decode(rows: rows, into: base) }
      initialized = count
    }
  }

  /// All values.
  fileprivate func values(_ parallel: Parallel) -> [Float] { shape.count < 2 ? vector() : matrix(parallel: parallel).values }
}
