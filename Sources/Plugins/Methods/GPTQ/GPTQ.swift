public import QuantCore

/// Rounds column after column and distributes each column's error over the columns that are not rounded yet, so that the
/// error of the layer's output on the calibration text stays small.
///
/// With `H = Σ x xᵀ` and `H⁻¹ = Uᵀ·U`, rounding column i with error `e = (w − q) / Uᵢᵢ` is compensated by `w_j −= e·Uᵢⱼ`
/// for all later j. This works on every scheme, GGUF's super-blocks included: parameters come from `Scheme.fit`,
/// codes from `Scheme.nearest` under the parameters as they are stored, errors from `Scheme.value`. Where one code stands for
/// several columns, it is chosen by what its errors cost after all of them are passed on (`InverseFactor.metrics`).
///
/// The traps: parameters must be rounded as stored *before* the loop, or the feedback compensates for values that no
/// client sees. Channels that were dead on the calibration text may be active on other text, so their weights are kept. The
/// damping belongs to the matrix that is factored, not to the statistics that several layers share.
///
/// Source: Frantar et al., *GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers*
/// (arXiv 2210.17323). The option `correct` follows Li et al., *GPTAQ: Efficient Finetuning-Free Quantization for Asymmetric
/// Calibration* (arXiv 2504.02692) in its goal, not in its recursion: see `TargetCorrection`.
public struct GPTQ: QuantizationMethod {
  public static let id = "gptq"
  public static let summary = "Rounds with error feedback through the inverse of the inputs' Gram matrix."
  public static let reference = "arXiv 2210.17323"
  public static let requirements: Set<Statistic> = [.gram]
  public static let propagation = Propagation.quantized
  public static let qualities: [Quality: [String: String]] = [.good: [:], .best: ["refine": "6"]]
  public static let options = [
    OptionDeclaration(
      name: "scale", summary: "first scale channels where they are loud, by awq:sites=loud: loud; or nowhere: off", defaultValue: "loud"),
    OptionDeclaration(name: "damp", summary: "add this share of the mean to the Gram matrix's diagonal", defaultValue: "0.01"),
    OptionDeclaration(
      name: "order",
      summary: "round columns in this order: static, block or plain; auto: by scheme",
      defaultValue: "auto"),
    OptionDeclaration(
      name: "importance", summary: "weight the fit of parameters by importance, if the scheme can", defaultValue: "on"),
    OptionDeclaration(
      name: "values",
      summary: "measure errors after clients round weights to this type: exact, bf16 or f16",
      defaultValue: "exact"),
    OptionDeclaration(
      name: "correct", summary: "correct this share of earlier layers' errors, 0 to 1 (needs a second stream)",
      defaultValue: "0.5"),
    OptionDeclaration(
      name: "ranges", summary: "search the ranges of groups for the smallest error: on, off; auto: if they are integers",
      defaultValue: "auto"),
    OptionDeclaration(
      name: "refine", summary: "improve codes and parameters this often after the pass, 0 to 8", defaultValue: "2"),
    OptionDeclaration(
      name: "rescale", summary: "scale rows so that their outputs are not smaller than the original's", defaultValue: "on"),
  ]

  let scalesLoud: Bool
  let damp: Double
  /// Nil: by scheme.
  let order: VisitingOrder.Kind?
  let weighsFit: Bool
  let correctedShare: Double
  /// The type to which clients round values; nil: they do not.
  let valueType: ElementType?
  /// Nil: by scheme.
  let searchesRanges: Bool?
  let refinements: Int
  let rescales: Bool
  private let factors = FactorCache()

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws {
    scalesLoud = try options.choice("scale", of: ["loud", "off"]) == "loud"
    damp = try options.number("damp", in: 0...InverseFactor.largestDamp)
    order = VisitingOrder.Kind(rawValue: try options.choice("order", of: ["auto"] + VisitingOrder.Kind.allCases.map(\.rawValue)))
    weighsFit = try options.flag("importance")
    valueType = ElementType(schemeName: try options.choice("values", of: ["exact", "bf16", "f16"]))
    correctedShare = try options.number("correct", in: 0...1)
    let ranges = try options.choice("ranges", of: ["auto", "on", "off"])
    searchesRanges = ranges == "auto" ? nil : ranges == "on"
    refinements = try options.integer("refine", in: 0...8)
    rescales = try options.flag("rescale")
  }

  public var stages: Set<MethodStage> { [.round] }
  public var statistics: Set<Statistic> { correctedShare > 0 ? [.gram, .cross] : [.gram] }
  public var roundsByStatistics: Bool { true }
  /// Feedback alone does not help a column that is so loud that the error of its own codes decides.
  public var companions: [(id: String, options: [String: String])] { scalesLoud ? [("awq", ["sites": "loud", "clip": "off"])] : [] }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard let statistics = task.statistics, !statistics.gram.isEmpty, task.scheme.grid.kind != .float else { return nil }
    // Some rules are not meant to round without importance.
    let ownImportance = task.scheme.importanceNeed == .none ? nil : InverseFactor.livelyDiagonal(statistics)
    // Such a matrix is invertible only because of its damping: feedback would fit nothing but the calibration text.
    guard statistics.tokens >= statistics.channels else {
      return PlainRounder(
        scheme: task.scheme, importance: task.importance ?? ownImportance,
        reason: "only \(statistics.tokens) tokens of calibration text reach its \(statistics.channels) inputs; rounded to nearest "
          + "instead. Use more calibration text")
    }
    let order = VisitingOrder(
      order ?? .best(for: task.scheme.grid), diagonal: InverseFactor.livelyDiagonal(statistics),
      tileLength: task.scheme.groupLength(columns: statistics.channels), joint: task.scheme.jointColumns)
    guard let factor = factors.factor(of: statistics, order: order, damp: damp, parallel: task.parallel) else {
      return PlainRounder(
        scheme: task.scheme, importance: task.importance ?? ownImportance,
        reason: "the inputs' Gram matrix cannot be factored even with damp=\(InverseFactor.largestDamp); rounded to nearest "
          + "instead. The calibration text may be too short, or activations are not finite")
    }
    let isInteger = [.symmetricInteger, .asymmetricInteger, .affineInteger].contains(task.scheme.grid.kind)
    let scheme = (searchesRanges ?? isInteger) && weighsFit ? task.scheme.widerSearch ?? task.scheme : task.scheme
    let isRefined = refinements > 0 || rescales
    return FeedbackRounder(
      scheme: scheme, order: order, factor: factor, metrics: order.joint > 1 ? factor.metrics(of: order) : [], valueType: valueType,
      importance: weighsFit ? order.diagonal : nil,
      correction: TargetCorrection(statistics, share: correctedShare, order: order, factor: factor), requestedDamp: damp,
      gram: isRefined ? DampedGram(statistics, order: order, factor: factor) : nil, refinements: refinements, rescales: rescales)
  }
}

/// The scheme's own rule, for matrices where feedback is impossible or would do harm.
struct PlainRounder: Rounder {
  let scheme: any Scheme
  /// The importance of each column, if the user gave it.
  let importance: [Float]?
  let reason: String

  var record: RoundingRecord { RoundingRecord(fallback: reason) }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: importance, into: &result)
  }
}
