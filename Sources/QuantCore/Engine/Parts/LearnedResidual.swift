/// A residual connection with a learned part of low rank: the input plus the normalized product of it with two thin matrices (LAuReL-LR).
///
/// Source: Menghani et al., *LAuReL: Learned Augmented Residual Layer* (arXiv 2411.07501).
public struct LearnedResidual: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Channels between the matrices.
  public var rank: Int
  /// Applied to the product.
  public var norm: Norm

  public init(width: Int, rank: Int, norm: Norm) {
    self.width = width
    self.rank = rank
    self.norm = norm
  }

  public var tensors: [PartTensor] {
    [PartTensor(.residualInput, [rank, width], .residual), PartTensor(.residualOutput, [width, rank], .residual)]
      + (norm.hasGain ? [PartTensor(norm.role, [width], .norm)] : [])
  }

  public var linears: [(layer: Layer, input: Site)] {
    [(Layer(.residualInput), .residualInput), (Layer(.residualOutput), .residualOutput)]
  }

  public var folds: [Fold] { [Fold(site: .residualOutput, producer: .rows(Layer(.residualInput)))] }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var input = input
    context.pass(&input, through: .residualInput)
    var inner = context.linear(Layer(.residualInput), input)
    context.pass(&inner, through: .residualOutput)
    guard context.isOutputWanted else { return nil }
    var result = context.normed(context.linear(Layer(.residualOutput), inner), by: norm)
    result.add(input, at: 0..<input.rows)
    return result
  }
}

extension TensorRole {
  /// The thin matrices of a learned residual connection, and the norm behind them.
  public static let residualInput = TensorRole("residualInput")
  public static let residualOutput = TensorRole("residualOutput")
  public static let residualNorm = TensorRole("residualNorm")
}

extension TensorKind {
  /// Thin matrices of learned residual connections: small, and in the way of everything that follows.
  public static let residual = TensorKind("residuals", isSensitive: true)
}

extension Site {
  /// What the thin matrices of a learned residual connection read.
  public static let residualInput = Site("residual.input")
  public static let residualOutput = Site("residual.output")
}
