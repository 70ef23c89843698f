public import QuantCore

/// Rounds column after column and moves each column's error onto the columns that are not rounded yet, so that the error of
/// the layer's output on the calibration text stays small.
///
/// With `H = Σ x xᵀ` and `H⁻¹ = Uᵀ·U`, rounding column i with error `e = (w − q) / Uᵢᵢ` is made up for by `w_j −= e·Uᵢⱼ`
/// for all later j. This is done on every scheme, the super-blocks of GGUF included: parameters come from `Scheme.fit`,
/// codes from `Scheme.nearest` under the parameters as they are stored, errors from `Scheme.value`.
///
/// Where people fall: parameters must be rounded as stored *before* the loop, or the feedback makes up for numbers that no
/// reader sees. Channels that were silent on the calibration text may speak later, so their weights are kept. The damping
/// belongs to the matrix that is factored, not to the statistics that several layers share.
///
/// Source: Frantar et al., *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers*
/// (arXiv 2210.17323). The option `correct` follows Li et al., *GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric
/// Calibration* (arXiv 2504.02692) in its goal, not in its recursion: see `TargetCorrection`.
public struct GPTQ: QuantizationMethod {
  public static let id = "gptq"
  public static let summary = "Rounding with error feedback through the inverse of the inputs' Gram matrix."
  public static let reference = "arXiv 2210.17323"
  public static let requirements: Set<Statistic> = [.gram]
  public static let propagation = Propagation.quantized
  public static let options = [
    OptionDeclaration(name: "damp", summary: "added to the diagonal, relative to its mean", defaultValue: "0.01"),
    OptionDeclaration(
      name: "order",
      summary: "static: parameters first, loudest column first; block: parameters from the corrected weights, loudest tile first; "
        + "plain: the same from left to right; auto: by scheme",
      defaultValue: "auto"),
    OptionDeclaration(
      name: "importance", summary: "weigh the fit of parameters with the inputs' power, where the scheme can", defaultValue: "on"),
    OptionDeclaration(
      name: "values",
      summary: "float to which readers round the values of the weights; errors are taken against these: exact, bf16 or f16",
      defaultValue: "exact"),
    OptionDeclaration(
      name: "correct", summary: "share of the errors made in front of a layer that it makes up for (0...1; needs a second stream)",
      defaultValue: "0"),
  ]

  let damp: Double
  /// nil: by scheme.
  let order: VisitingOrder.Kind?
  let weighsFit: Bool
  let correctedShare: Double
  /// What readers round values to; nil: they keep them.
  let valueType: ElementType?
  private let factors = FactorCache()

  /// - Throws: `Failure` where an option's value is out of range.
  public init(_ options: OptionValues) throws {
    damp = try options.number("damp", in: 0...InverseFactor.largestDamp)
    order = VisitingOrder.Kind(rawValue: try options.choice("order", of: ["auto"] + VisitingOrder.Kind.allCases.map(\.rawValue)))
    weighsFit = try options.flag("importance")
    valueType = ElementType(schemeName: try options.choice("values", of: ["exact", "bf16", "f16"]))
    correctedShare = try options.number("correct", in: 0...1)
  }

  public var stages: Set<MethodStage> { [.round] }
  public var statistics: Set<Statistic> { correctedShare > 0 ? [.gram, .cross] : [.gram] }
  public var roundsByStatistics: Bool { true }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard let statistics = task.statistics, !statistics.gram.isEmpty, task.scheme.grid.kind != .float else { return nil }
    guard task.scheme.jointColumns == 1 else {
      return PlainRounder(
        scheme: task.scheme, importance: task.importance,
        reason: "\(task.scheme.name) stores one of some points for \(task.scheme.jointColumns) columns at once, which leaves none to "
          + "make up for errors in; rounded by the scheme's own rule instead")
    }
    // Such a matrix has no inverse but for its damping: feedback would fit the calibration text and nothing else.
    guard statistics.tokens >= statistics.channels else {
      return PlainRounder(
        scheme: task.scheme, importance: task.importance,
        reason: "\(statistics.tokens) tokens of calibration text reach its \(statistics.channels) inputs; rounded to nearest "
          + "instead. More text helps")
    }
    let order = VisitingOrder(
      order ?? .best(for: task.scheme.grid), diagonal: InverseFactor.livelyDiagonal(statistics),
      tileLength: task.scheme.groupLength(columns: statistics.channels))
    guard let factor = factors.factor(of: statistics, order: order, damp: damp, parallel: task.parallel) else {
      return PlainRounder(
        scheme: task.scheme, importance: task.importance,
        reason: "the inputs' Gram matrix cannot be factored even with damp=\(InverseFactor.largestDamp); rounded to nearest "
          + "instead. The calibration text may be too short, or activations are not finite")
    }
    return FeedbackRounder(
      scheme: task.scheme, order: order, factor: factor, valueType: valueType, importance: weighsFit ? order.diagonal : nil,
      correction: TargetCorrection(statistics, share: correctedShare, order: order, factor: factor), requestedDamp: damp)
  }
}

/// The scheme's own rule, where feedback is impossible or would do harm.
struct PlainRounder: Rounder {
  let scheme: any Scheme
  /// What errors in the columns weigh, where a person gave it.
  let importance: [Float]?
  let reason: String

  var record: RoundingRecord { RoundingRecord(fallback: reason) }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: importance, into: &result)
  }
}
