/// What each type costs each tensor of a model: measured once, good for every size.
///
/// For a tensor and a type it holds the divergence that rounding adds to the model's predictions, if everything else stays as it is:
/// the loss `tr(ΔW·H·ΔWᵀ)` under the Gram matrix H of the tensor's inputs, times the effect that a loss of such tensors has, which was
/// measured under noise. The sum over all tensors estimates the divergence of a mix; `curve` says what was measured for some mixes, because
/// large errors do not add up.
public struct SizeAnalysis: Sendable, Equatable {
  /// One tensor of the model.
  public struct Tensor: Sendable, Equatable {
    /// Identifies it in the model (`TensorID.key`).
    public var key: String
    /// How many weights it has.
    public var weights: Int
    /// The types that were tried, in the order of their bits per weight.
    public var candidates: [Candidate]
  }

  /// What one type costs a tensor.
  public struct Candidate: Sendable, Equatable {
    /// Name of the scheme.
    public var scheme: String
    /// Bits per weight, parameters included.
    public var bitsPerWeight: Double
    /// `tr(ΔW·H·ΔWᵀ) / tr(W·H·Wᵀ)`: the share of the power of the layer's output that is error.
    public var loss: Double
    /// What that adds to the KL divergence of the model's predictions, in nats per token.
    public var divergence: Double
  }

  /// How much an error in tensors of one kind matters at some depth.
  public struct Effect: Sendable, Equatable {
    /// What the tensors do: a role, `tokenEmbedding` and `output` included.
    public var kind: String
    /// The blocks that were disturbed together; nil outside of the blocks.
    public var blocks: ClosedRange<Int>?
    /// The loss of the noise: mean square error of the layers' outputs per token, summed over channels and layers.
    public var loss: Double
    /// The divergence that the noise caused, in nats per token.
    public var divergence: Double
    /// With which power of the loss the divergence grows beyond this noise, as larger noise showed: from 1 to 2.
    public var growth: Double

    /// Nats per unit of loss.
    public var slope: Double { loss > 0 ? divergence / loss : 0 }

    /// The divergence that an error in one of these tensors adds.
    /// - Parameters:
    ///   - loss: of the error.
    ///   - noise: the loss that the noise had in this tensor. Smaller errors add up; the effect of larger ones grows faster than they do.
    func divergence(ofLoss loss: Double, noise: Double) -> Double {
      let linear = max(0, loss) * slope
      guard noise > 0, loss > noise, growth > 1 else { return linear }
      return linear * Double(Power.of(Float(loss / noise), Float(growth - 1)))
    }
  }

  /// A mix of types whose divergence was measured.
  public struct Point: Sendable, Equatable {
    /// The sum over its tensors.
    public var sum: Double
    /// What the whole mix did, in nats per token.
    public var measured: Double
  }

  /// The layout that this program writes, and the only one that it reads.
  public static let version = 1

  /// Fingerprint of the model.
  public var model: String
  /// The methods that rounded, with their options, in order; empty: the types' own rules.
  public var methods: [String]
  /// The text that Gram matrices are from, and the one that divergences were measured on: as in files of statistics.
  public var calibration: String
  public var text: String
  public var effects: [Effect]
  public var tensors: [Tensor]
  /// In the order of their sums.
  public var curve: [Point]

  public init(
    model: String, methods: [String], calibration: String, text: String, effects: [Effect], tensors: [Tensor], curve: [Point]
  ) {
    self.model = model
    self.methods = methods
    self.calibration = calibration
    self.text = text
    self.effects = effects
    self.tensors = tensors
    self.curve = curve
  }

  /// The divergence to expect of a mix, in nats per token.
  ///
  /// Between two measured mixes the logarithms are interpolated; below the first one errors are small and add up, so its ratio holds, and
  /// above the last one so does the last one's.
  /// - Parameter sum: the sum of what the analysis has for its tensors.
  public func divergence(ofSum sum: Double) -> Double {
    guard sum > 0, let first = curve.first, let last = curve.last else { return max(0, sum) }
    if sum <= first.sum { return sum * first.measured / first.sum }
    guard let next = curve.firstIndex(where: { $0.sum >= sum }) else { return sum * last.measured / last.sum }
    let (a, b) = (curve[next - 1], curve[next])
    let share = (Power.logarithm(sum) - Power.logarithm(a.sum)) / (Power.logarithm(b.sum) - Power.logarithm(a.sum))
    return a.measured * Double(Power.of(Float(b.measured / a.measured), Float(share)))
  }

  /// The largest sum whose divergence is at most this: the inverse of `divergence(ofSum:)`.
  public func sum(ofDivergence wanted: Double) -> Double {
    // The function grows, and doubles reach everything that can be asked for.
    var (low, high) = (0.0, max(1, wanted))
    while divergence(ofSum: high) < wanted, high < 1e9 { high *= 2 }
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if divergence(ofSum: middle) <= wanted { low = middle } else { high = middle }
    }
    return low
  }

  /// - Throws: `Failure` `sizes.model` if this is the analysis of another model.
  func check(model wanted: String, path: String?) throws(Failure) {
    guard model != wanted else { return }
    throw Failure(
      .data, "sizes.model", "is the analysis of another model", file: path,
      remedy: "Give the analysis of this model, as \(command: "analyze") writes it.")
  }
}

extension TensorID {
  /// Its name in an analysis: `blocks.3.query`, `blocks.3.gate.17` for an expert, `output`.
  package var key: String {
    (block.map { "blocks.\($0)." } ?? "") + role.rawValue + (expert.map { ".\($0)" } ?? "") + (isBias ? ".bias" : "")
  }
}
