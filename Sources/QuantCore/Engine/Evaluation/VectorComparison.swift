/// How far the vectors that an encoder makes of texts are from those of a reference.
public struct VectorComparison: Sendable, Equatable {
  /// Cosine of the angle between both vectors of a text, averaged over the texts.
  public var cosine: Estimate
  /// First percentile, interpolated linearly between ranks.
  public var cosine1: Double
  /// The worst text.
  public var cosineMinimum: Double
  /// Spearman's rank correlation of the similarities of all pairs of texts: 1 if both models agree which pairs are more alike. Nil for
  /// fewer than three texts.
  public var ranks: Double?

  /// - Parameters:
  ///   - vectors: `[texts, channels]`.
  ///   - reference: of the same texts.
  init(_ vectors: Matrix, _ reference: Matrix) {
    let cosines = (0..<vectors.rows).map { VectorComparison.cosine(vectors, $0, reference, $0) }
    cosine = Estimate(mean: cosines)
    let sorted = cosines.sorted()
    cosine1 = PositionScores.quantile(sorted, 0.01)
    cosineMinimum = sorted.first ?? 0
    let texts = min(vectors.rows, VectorComparison.rankedTexts)
    guard texts > 2 else { return }
    ranks = VectorComparison.correlation(
      VectorComparison.ranked(VectorComparison.similarities(vectors, texts)),
      VectorComparison.ranked(VectorComparison.similarities(reference, texts)))
  }

  /// Texts whose pairs are ranked: there are half a million pairs of them.
  private static let rankedTexts = 1000

  static func cosine(_ a: Matrix, _ i: Int, _ b: Matrix, _ j: Int) -> Double {
    var (product, x, y) = (0.0, 0.0, 0.0)
    for c in 0..<a.columns {
      let (p, q) = (Double(a[i, c]), Double(b[j, c]))
      product += p * q
      x += p * p
      y += q * q
    }
    return x * y > 0 ? product / (x * y).squareRoot() : 0
  }

  /// Of each pair of the first texts.
  private static func similarities(_ vectors: Matrix, _ texts: Int) -> [Double] {
    (0..<texts).flatMap { i in (0..<i).map { cosine(vectors, i, vectors, $0) } }
  }

  /// The position of each value among all in increasing order; equal values share the mean of theirs.
  package static func ranked(_ values: [Double]) -> [Double] {
    let order = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }
    var ranks = [Double](repeating: 0, count: values.count)
    var first = 0
    while first < order.count {
      var end = first + 1
      while end < order.count, values[order[end]] == values[order[first]] { end += 1 }
      for index in order[first..<end] { ranks[index] = Double(first + end - 1) / 2 }
      first = end
    }
    return ranks
  }

  /// Pearson's correlation; 0 if either has no spread.
  package static func correlation(_ a: [Double], _ b: [Double]) -> Double {
    let count = Double(max(1, a.count))
    let (meanA, meanB) = (a.reduce(0, +) / count, b.reduce(0, +) / count)
    var (product, x, y) = (0.0, 0.0, 0.0)
    for (p, q) in zip(a, b) {
      product += (p - meanA) * (q - meanB)
      x += (p - meanA) * (p - meanA)
      y += (q - meanB) * (q - meanB)
    }
    return x * y > 0 ? product / (x * y).squareRoot() : 0
  }
}

extension Evaluation {
  /// Compares the vectors of an encoder with those of a reference, window by window.
  static func compareVectors(
    _ engine: Engine, _ windows: [[Int]], _ options: EvaluationOptions, reference: Engine?, progress: (_ done: Int, _ total: Int) -> Void
  ) throws(Failure) -> EvaluationResult {
    guard let reference else {
      throw Failure(
        .usage, "evaluate.reference", "an encoder predicts nothing: its vectors can only be compared with those of another model",
        remedy: "Give the model that it was made from (\(setting: "reference") MODEL).")
    }
    guard let pooling = reference.model.head.pooling, reference.model.hiddenSize == engine.model.hiddenSize else {
      throw Failure(
        .data, "evaluate.vectors", "the reference makes no vectors of \(engine.model.hiddenSize) channels, so there is nothing to compare",
        remedy: "Compare with the model that it was made from.")
    }
    var (vectors, others): ([Float], [Float]) = ([], [])
    let batch = max(1, batchTokens / options.context)
    for first in stride(from: 0, to: windows.count, by: batch) {
      let part = Array(windows[first..<min(windows.count, first + batch)])
      // The reference's: a folder may have lost the file that says so.
      vectors += try self.vectors(engine, part, options, pooling)
      others += try self.vectors(reference, part, options, pooling)
      progress(first + part.count, windows.count)
    }
    guard (vectors + others).allSatisfy(\.isFinite) else { throw notFinite }
    let width = engine.model.hiddenSize
    return EvaluationResult(
      protocol: options.protocol, context: options.context, windows: windows.count, tokens: windows.count * options.context,
      vectors: VectorComparison(
        Matrix(rows: windows.count, columns: width, values: vectors), Matrix(rows: windows.count, columns: width, values: others)))
  }

  private static func vectors(
    _ engine: Engine, _ windows: [[Int]], _ options: EvaluationOptions, _ pooling: HeadDescription.Pooling
  ) throws(Failure) -> [Float] {
    engine.pooled(try states(engine, windows, options), sequenceLength: options.context, by: pooling).values
  }
}
