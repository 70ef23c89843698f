public import QuantCore

/// Moves the difficulty of rounding activations into the weights: every channel behind a norm is divided by
/// `s = max|x|^α / max|w|^(1−α)`, and the columns of all layers that read it are multiplied by `s`.
///
/// Source: Xiao et al., *SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models*
/// (arXiv 2211.10438), §4.
public struct SmoothQuant: QuantizationMethod {
  public static let id = "smoothquant"
  public static let summary = "Scales channels behind norms so that activations with outliers can be rounded to 8 bits."
  public static let reference = "arXiv 2211.10438"
  public static let requirements: Set<Statistic> = [.range]
  public static let options = [
    OptionDeclaration(name: "alpha", summary: "share of the difficulty that moves into the weights", defaultValue: "0.5")
  ]

  let alpha: Double

  /// - Throws: `Failure` where an option's value is out of range.
  public init(_ options: OptionValues) throws {
    alpha = try options.number("alpha", in: 0...1)
  }

  public func transform(_ block: inout BlockWorkspace) throws -> [String] {
    for fold in block.model.block.folds {
      guard case .norm = fold.producer, let scales = scales(fold, block) else { continue }
      block.apply(fold, scales: scales)
    }
    return []
  }

  /// Nil where nothing was observed.
  private func scales(_ fold: Fold, _ block: BlockWorkspace) -> [Float]? {
    guard let statistics = block.statistics[fold.site], statistics.tokens > 0 else { return nil }
    var weights = [Float](repeating: 0, count: statistics.channels)
    for matrix in block.model.block.consumers(of: fold).compactMap({ block.matrices[$0] }) {
      for row in 0..<matrix.rows {
        for c in 0..<matrix.columns { weights[c] = max(weights[c], abs(matrix[row, c])) }
      }
    }
    return (0..<statistics.channels).map { c in
      let input = max(abs(statistics.minimum[c]), abs(statistics.maximum[c]), 1e-5)
      return max(Power.of(input, Float(alpha)) / Power.of(max(weights[c], 1e-5), Float(1 - alpha)), 1e-5)
    }
  }
}
