public import QuantCore

/// Gives the more sensitive layers the wider of two types, and rounds with error feedback, that of values under what attention makes of them.
///
/// A layer is as sensitive as the mean of its Hessian's trace is large. The Hessian is `2·Σ x xᵀ` as in `gptq`; as the values of several tokens
/// are mixed before anything reads them, that of the values' matrix has the mixed inputs in place of x, as the mean over heads. The paper also
/// differentiates the softmax with respect to queries and keys, which this method does not: theirs is the Hessian of `gptq`.
///
/// The traces compare inputs only, neither what rounding does to the weights nor what an error in the layer does to the model's predictions.
/// `analyze` measures both.
///
/// Source: Guan et al., *APTQ: Attention-aware Post-Training Mixed-Precision Quantization for Large Language Models* (arXiv 2402.14866).
public struct APTQ: QuantizationMethod {
  public static let id = "aptq"
  public static let summary = "Chooses between two types by the traces of Hessians, and rounds with error feedback that knows of attention."
  public static let reference = "arXiv 2402.14866"
  public static let requirements: Set<Statistic> = [.gram, .attended]
  public static let propagation = Propagation.quantized
  public static let options =
    [
      OptionDeclaration(
        name: "wide", summary: "type of the more sensitive layers; of several, separated by /, the first that the output holds",
        defaultValue: "int4-g128/q4_k"),
      OptionDeclaration(name: "narrow", summary: "type of the other layers, in the same form", defaultValue: "int2-g128/q2_k"),
      OptionDeclaration(name: "share", summary: "share of the weights that get the wider type, 0 to 1", defaultValue: "0.75"),
    ] + GPTQ.options

  public let widths: WidthChoice?
  private let feedback: GPTQ

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws {
    func names(_ option: String) -> [String] { options.string(option).split(separator: "/").map { String($0) } }
    widths = WidthChoice(wide: names("wide"), narrow: names("narrow"), share: try options.number("share", in: 0...1))
    feedback = try GPTQ(options)
  }

  public var stages: Set<MethodStage> { [.choose, .round] }
  public var statistics: Set<Statistic> { feedback.statistics.union([.attended]) }
  public var roundsByStatistics: Bool { true }
  public var companions: [(id: String, options: [String: String])] { feedback.companions }

  public func sensitivity(of task: SensitivityTask) -> Double {
    let (statistics, size) = (task.statistics.seen(by: task.id), task.statistics.channels)
    let trace = (0..<size).reduce(0.0) { $0 + Double(statistics.gram[$1 * size + $1]) }
    return 2 * trace / Double(max(1, size * statistics.tokens))
  }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    var task = task
    if let id = task.id { task.statistics = task.statistics?.seen(by: id) }
    return try feedback.rounder(for: task)
  }
}

extension SiteStatistics {
  /// The statistics under which errors of a matrix count: for values, those of the mixed inputs, if they were observed.
  fileprivate func seen(by id: TensorID) -> SiteStatistics {
    guard id.role == .value, !attended.isEmpty else { return self }
    var mixed = self
    mixed.gram = attended
    // What the streams differ by was observed before the mixing.
    mixed.cross = []
    return mixed
  }
}
