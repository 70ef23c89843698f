/// Several hidden states of each token side by side, of which each block computes one: all are predicted from all before it, and corrected
/// by what it made of that one (AltUp).
///
/// The lane that blocks compute flows as the hidden states; a carried value holds all of them. The first lane is the embedding; each
/// other one is a projection of it. After the last block, a projection of each other one is added to the first, and the mean is what the
/// head reads. Each projection is scaled to the root mean square of the first lane.
///
/// Source: Baykal et al., *Alternating Updates for Efficient Transformers* (arXiv 2301.13310).
public struct Lanes: Sendable, Hashable {
  /// How many there are.
  public var count: Int
  /// The one that blocks compute.
  public var active: Int
  /// Channels of each.
  public var width: Int

  public init(count: Int, active: Int, width: Int) {
    self.count = count
    self.active = active
    self.width = width
  }

  /// All lanes of a token, one after another.
  package var value: CarriedValue { CarriedValue("lanes", width: count * width) }

  /// The columns of a lane in the carried value.
  package func columns(_ lane: Int) -> Range<Int> { lane * width..<(lane + 1) * width }
}

extension TensorRole {
  /// The projection that makes a lane of the embedding, and that before lanes are added: square matrices, for each lane but the first.
  public static func laneInput(_ lane: Int) -> TensorRole { TensorRole("laneInput.\(lane)") }
  public static func laneOutput(_ lane: Int) -> TensorRole { TensorRole("laneOutput.\(lane)") }
  /// What predicts and corrects lanes in a block: the norm and the matrix that make a few values of the active one, and the matrices that
  /// make coefficients of these.
  public static let laneRouterNorm = TensorRole("laneRouterNorm")
  public static let laneRouter = TensorRole("laneRouter")
  public static let lanePrediction = TensorRole("lanePrediction")
  public static let laneCorrection = TensorRole("laneCorrection")
  /// What channels of the active lane are multiplied by before something is added to the others.
  public static let laneScale = TensorRole("laneScale")
}

extension TensorKind {
  /// Small matrices that mix lanes: their errors reach every block.
  public static let lane = TensorKind("lanes", isSensitive: true)
}
