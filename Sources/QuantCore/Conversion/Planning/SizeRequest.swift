/// What is asked of an output whose types are chosen for its size or its quality.
public struct SizeRequest: Sendable, Equatable {
  /// Bytes that the whole output may have; nil: not asked for. One of the first three is given at most.
  public var bytes: Int?
  /// Stored bits per weight, over all tensors.
  public var bitsPerWeight: Double?
  /// KL divergence that is accepted, in nats per token.
  public var divergence: Double?
  /// A file that `analyze` wrote; nil: the model is measured in the same run, on the calibration text.
  public var analysisPath: String?
  /// Names of the schemes to choose from; empty: all that the output can hold.
  public var preferred: [String] = []

  /// Whether types are measured without an order.
  var isMeasuring = false

  public init() {}

  /// Whether types are chosen or measured this way.
  public var isGiven: Bool { isMeasuring || bytes != nil || bitsPerWeight != nil || divergence != nil }

  /// - Throws: `Failure` of kind usage for settings that contradict each other.
  func check(_ request: ConversionRequest) throws(Failure) {
    let given = [("target-size", bytes != nil), ("target-bpw", bitsPerWeight != nil), ("target-kld", divergence != nil)].filter(\.1)
    if given.count > 1 {
      throw Failure(
        .usage, "sizes.conflict", "an output can be made to order in one respect only",
        remedy: "Give \(setting: given[0].0) or \(setting: given[1].0).")
    }
    guard let order = given.first?.0 else {
      if isMeasuring { return }
      guard let idle = analysisPath != nil ? "analysis" : preferred.isEmpty ? nil : "prefer" else { return }
      throw Failure(
        .usage, "sizes.no-order", "types are chosen by an analysis only for a size, and none is given",
        remedy: "Give \(setting: "target-size"), \(setting: "target-bpw") or \(setting: "target-kld"), or leave \(setting: idle) out.")
    }
    if let scheme = request.scheme, scheme != OrderedMix.name {
      throw Failure(
        .usage, "sizes.scheme", "\(scheme) and a size to order both choose the types",
        remedy: "Leave \(setting: "scheme") or \(setting: order) out; \(setting: "prefer") names the types to choose from.")
    }
  }
}

/// The types that were chosen for a size, tensor by tensor.
struct OrderedMix: Preset {
  static let name = "to-order"
  /// Names of schemes by the names of tensors in the output.
  var schemes: [String: String]

  var name: String { OrderedMix.name }

  func choose(_ tensors: [PresetTensor], model: ModelDescription?) -> [PresetChoice] {
    tensors.map { PresetChoice(scheme: $0.isQuantizable ? schemes[$0.name] : nil) }
  }
}

/// How a plan met an order, and what other sizes would give.
public struct SizeOutcome: Sendable, Equatable {
  /// The divergence to expect, in nats per token.
  public var divergence: Double
  /// Sizes with the divergence to expect of the best mix of that size, from the smallest.
  public var front: [Point]

  /// A mix that could be ordered.
  public struct Point: Sendable, Equatable {
    /// Of the whole output; in a report of `analyze`, of the tensors whose type can be chosen.
    public var bytes: Int
    public var bitsPerWeight: Double
    public var divergence: Double
  }
}
