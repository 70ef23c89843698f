/// How a method stores what rounding lost: as an adapter beside the output, two thin matrices for each rounded matrix.
public struct CorrectionShape: Sendable, Equatable {
  /// Rank of every product. A matrix with fewer rows or columns gets ranks of zeros, so that one number holds for the whole adapter.
  public var rank: Int
  /// Bits of each number of the thin matrices: 16, or 8 where the adapter's format can hold them.
  public var bits: Int

  public init(rank: Int, bits: Int) {
    self.rank = rank
    self.bits = bits
  }
}

/// One matrix that is going to be rounded, and corrected.
public struct AnticipationTask: Sendable {
  /// The weights as the last transform left them, `[out, in]`.
  public var weights: Matrix
  /// The scheme that they are rounded to.
  public var scheme: any Scheme
  /// What was observed at its input; nil without calibration.
  public var statistics: SiteStatistics?
  /// The rank of the correction.
  public var rank: Int
  public var parallel: Parallel

  public init(
    weights: Matrix, scheme: any Scheme, statistics: SiteStatistics?, rank: Int, parallel: Parallel = Parallel(threads: 1)
  ) {
    self.weights = weights
    self.scheme = scheme
    self.statistics = statistics
    self.rank = rank
    self.parallel = parallel
  }
}

/// One matrix that has been rounded.
public struct CorrectionTask: Sendable {
  /// Name of its tensor in the output, for messages.
  public var name: String
  /// `W − Ŵ`, `[out, in]`: the weights as the last transform left them, minus what the written codes mean.
  public var error: Matrix
  /// What was observed at its input; nil without calibration.
  public var statistics: SiteStatistics?
  /// The rank of the product.
  public var rank: Int
  public var parallel: Parallel

  public init(name: String, error: Matrix, statistics: SiteStatistics?, rank: Int, parallel: Parallel = Parallel(threads: 1)) {
    self.name = name
    self.error = error
    self.statistics = statistics
    self.rank = rank
    self.parallel = parallel
  }
}

/// A product that stands for an error: `outputs · inputs`, added to the rounded matrix by clients.
public struct LowRankFactors: Sendable, Equatable {
  /// B, `[out, rank]`.
  public var outputs: Matrix
  /// A, `[rank, in]`.
  public var inputs: Matrix

  public init(outputs: Matrix, inputs: Matrix) {
    self.outputs = outputs
    self.inputs = inputs
  }
}
