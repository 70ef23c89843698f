/// What a conversion did.
public struct ConversionReport: Sendable {
  /// The result of converting one tensor.
  public struct TensorReport: Sendable {
    /// Name in the output.
    public var name: String
    /// Name of its scheme.
    public var scheme: String
    /// ‖rounded − original‖ / ‖original‖, if the conversion computed it.
    public var relativeError: Double?
    /// What the method that rounded it reports; empty without one.
    public var record = RoundingRecord()
    /// For each expert whose matrix it holds, how many calibration tokens reached the matrix; empty if that was not observed.
    public var expertTokens: [Int] = []
    /// Wall-clock time of rounding and writing.
    public var seconds: Double?
  }

  /// Bytes written.
  public var totalSize = 0
  /// Stored bits per weight, over all tensors.
  public var bitsPerWeight = 0.0
  /// One entry per output tensor.
  public var tensors: [TensorReport] = []
  /// Wall-clock time.
  public var seconds = 0.0
  /// What methods reported.
  public var notes: [String] = []
  public init() {}

  mutating func add(_ block: BlockResult) {
    tensors += block.tensors
    notes += block.notes
  }

  /// Sets the sizes, and gives every planned tensor an entry, in order; what is known of a tensor is kept.
  public mutating func complete(_ plan: ConversionPlan) {
    totalSize = plan.totalSize
    bitsPerWeight = plan.bitsPerWeight
    let known = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    tensors = plan.tensors.map { known[$0.name] ?? TensorReport(name: $0.name, scheme: $0.scheme.name) }
  }
}

extension Duration {
  /// As a number of seconds.
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
