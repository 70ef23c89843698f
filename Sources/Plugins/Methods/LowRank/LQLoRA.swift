public import QuantCore

/// LoRC whose base is rounded for its correction: rounding and the correction are improved in turns, and what the correction is going to
/// hold is subtracted from the weights before they are rounded.
///
/// Source: Guo et al., *LQ-LoRA: Low-rank Plus Quantized Matrix Decomposition for Efficient Language Model Finetuning* (arXiv 2311.12023),
/// §3.1. With calibration text the columns are weighed by the mean squares of their inputs, in place of the paper's Fisher information,
/// which needs gradients.
public struct LQLoRA: QuantizationMethod {
  public static let id = "lq-lora"
  public static let summary = "Finds codes and a LoRA adapter in turns, so that both together are nearest to the weights."
  public static let reference = "arXiv 2311.12023"
  public static let defaultScheme: String? = "nf4"
  public static let options =
    LowRankCorrection.options(rank: 64) + [
      OptionDeclaration(name: "turns", summary: "most turns, 1 to 100; they end when the error rises", defaultValue: "5"),
      OptionDeclaration(name: "weigh", summary: "weigh columns by the mean squares of their inputs", defaultValue: "off"),
    ]
  private let method: LowRankCorrection
  private let turns: Int
  private let weighs: Bool

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws {
    method = try LowRankCorrection(options)
    turns = try options.integer("turns", in: 1...100)
    weighs = try options.flag("weigh")
  }

  public var stages: Set<MethodStage> { [.correct] }
  public var statistics: Set<Statistic> { weighs ? [.meanSquare] : [] }
  public var correction: CorrectionShape? { method.shape }

  private func weights(_ statistics: SiteStatistics?) -> ColumnWeights {
    guard weighs, let statistics else { return .equal }
    return .columns(statistics.meanSquare)
  }

  public func anticipation(of task: AnticipationTask) throws -> LowRankFactors? {
    let columns = weights(task.statistics)
    var best: LowRankFactors?
    var smallest = Double.infinity
    var factors: LowRankFactors?
    for _ in 0..<turns {
      let base = factors.map { task.weights.minus($0, parallel: task.parallel) } ?? task.weights
      let rounded = base.withPanel { task.scheme.roundTrip($0) }
      var error = task.weights
      for place in error.values.indices { error.values[place] -= rounded[place] }
      let found = method.factors(
        for: CorrectionTask(name: "", error: error, statistics: task.statistics, rank: task.rank, parallel: task.parallel),
        weights: columns, isRough: true)
      let rest = columns.squares(of: error.minus(found, parallel: task.parallel), parallel: task.parallel)
      guard rest < smallest else { break }
      // The base that leaves the smallest error is the one of these factors' turn.
      (smallest, best, factors) = (rest, factors, found)
    }
    return best
  }

  public func factors(for task: CorrectionTask) throws -> LowRankFactors { method.factors(for: task, weights: weights(task.statistics)) }
}

extension Matrix {
  /// What is left without a product.
  fileprivate func minus(_ factors: LowRankFactors, parallel: Parallel) -> Matrix {
    var rest = Matrix.multiply(factors.outputs, factors.inputs, parallel: parallel)
    for place in values.indices { rest.values[place] = values[place] - rest.values[place] }
    return rest
  }
}

extension ColumnWeights {
  /// The weighted sum of squares of a matrix.
  fileprivate func squares(of matrix: Matrix, parallel: Parallel) -> Double {
    zip(multiply(matrix, parallel: parallel).values, matrix.values).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }
}
