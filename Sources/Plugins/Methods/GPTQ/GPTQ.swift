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
/// (arXiv 2210.17323).
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
      summary: "static: parameters first, loudest column first; block: parameters from the corrected weights, tile by tile",
      defaultValue: "static"),
    OptionDeclaration(
      name: "importance", summary: "weigh the fit of parameters with the inputs' power, where the scheme can", defaultValue: "on"),
  ]

  let damp: Double
  let order: VisitingOrder.Kind
  let weighsFit: Bool
  private let factors = FactorCache()

  /// - Throws: `Failure` where an option's value is out of range.
  public init(_ options: OptionValues) throws {
    damp = try options.number("damp", in: 0...InverseFactor.largestDamp)
    order = try options.choice("order", of: VisitingOrder.Kind.allCases.map(\.rawValue)) == "block" ? .block : .static
    weighsFit = try options.flag("importance")
  }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard let statistics = task.statistics, !statistics.gram.isEmpty, task.scheme.grid.kind != .float else { return nil }
    let order = VisitingOrder(
      order, diagonal: InverseFactor.livelyDiagonal(statistics),
      tileLength: task.scheme.groupLength(columns: statistics.channels))
    guard let factor = factors.factor(of: statistics, order: order, damp: damp, parallel: task.parallel) else {
      return PlainRounder(scheme: task.scheme)
    }
    return FeedbackRounder(
      scheme: task.scheme, order: order, factor: factor, importance: weighsFit ? order.diagonal : nil,
      requestedDamp: damp)
  }
}

/// The scheme's own rule, where no factor could be computed.
struct PlainRounder: Rounder {
  let scheme: any Scheme

  var record: RoundingRecord {
    RoundingRecord(
      fallback: "the inputs' Gram matrix cannot be factored even with damp=\(InverseFactor.largestDamp); rounded to nearest "
        + "instead. The calibration text may be too short, or activations are not finite")
  }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: nil, into: &result)
  }
}
