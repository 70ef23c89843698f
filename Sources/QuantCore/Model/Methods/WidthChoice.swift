/// Two types for the layers of a model, of which the more sensitive layers get the wider.
public struct WidthChoice: Sendable, Equatable {
  /// Names of schemes. The first that some layer of the output can have is the wider type.
  public var wide: [String]
  /// The same for the narrower type.
  public var narrow: [String]
  /// The share of the weights that get the wider type, from 0 to 1.
  public var share: Double

  public init(wide: [String], narrow: [String], share: Double) {
    self.wide = wide
    self.narrow = narrow
    self.share = share
  }

  /// Which of some layers get the wider type: so many of the most sensitive that their share of the weights is as near as possible to
  /// `share`.
  /// - Parameter layers: number of weights and sensitivity of each; of equal sensitivities, the first is taken as larger.
  package func wideLayers(_ layers: [(weights: Int, sensitivity: Double)]) -> Set<Int> {
    let ranked = layers.indices.sorted { (layers[$1].sensitivity, $0) < (layers[$0].sensitivity, $1) }
    let wanted = share * layers.reduce(0.0) { $0 + Double($1.weights) }
    var (sum, best) = (0.0, (count: 0, gap: wanted))
    for (index, layer) in ranked.enumerated() {
      sum += Double(layers[layer].weights)
      if abs(sum - wanted) < best.gap { best = (index + 1, abs(sum - wanted)) }
    }
    return Set(ranked.prefix(best.count))
  }
}

/// A matrix of a block whose sensitivity is asked for.
public struct SensitivityTask: Sendable {
  public var id: TensorID
  /// The matrix, `[out, in]`.
  public var matrix: Matrix
  /// Statistics of its input in the original stream; of a peer's, for an expert that no token reached.
  public var statistics: SiteStatistics
  public var parallel: Parallel

  public init(id: TensorID, matrix: Matrix, statistics: SiteStatistics, parallel: Parallel = Parallel(threads: 1)) {
    self.id = id
    self.matrix = matrix
    self.statistics = statistics
    self.parallel = parallel
  }
}
