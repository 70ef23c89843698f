extension TensorRole {
  /// The layers of a short convolution: what enters it, what multiplies that, what multiplies the result, and the output.
  public static let convolved = TensorRole("convolved")
  public static let convolutionInputGate = TensorRole("convolutionInputGate")
  public static let convolutionOutputGate = TensorRole("convolutionOutputGate")
  public static let convolutionOutput = TensorRole("convolutionOutput")
}

extension Site {
  /// What the layers of a short convolution read, and what its output layer reads.
  public static let convolutionInput = Site("convolution.input")
  public static let convolutionOutput = Site("convolution.output")
}

/// A gated convolution over a few tokens (LFM2, https://www.liquid.ai/blog/liquid-foundation-models-v2-our-second-series-of-generative-ai-models):
/// of three products of the input, the first multiplies the third before the convolution, and the second multiplies its result.
public struct ShortConvolution: Part {
  /// Channels of the hidden states and of the convolution.
  public var width: Int
  /// Tokens that a position mixes, its own included.
  public var kernelSize: Int
  /// Whether the convolution has a bias.
  public var hasBias: Bool

  public init(width: Int, kernelSize: Int, hasBias: Bool = false) {
    self.width = width
    self.kernelSize = kernelSize
    self.hasBias = hasBias
  }

  public var tensors: [PartTensor] {
    var tensors = [TensorRole.convolutionInputGate, .convolutionOutputGate, .convolved].map { PartTensor($0, [width, width], .mixer) }
    tensors.append(PartTensor(.convolution, [width * kernelSize], .vector))
    if hasBias { tensors.append(PartTensor(.convolutionBias, [width], .bias)) }
    return tensors + [PartTensor(.convolutionOutput, [width, width], .mixer)]
  }

  public var linears: [(layer: Layer, input: Site)] {
    [
      (Layer(.convolutionInputGate), .convolutionInput), (Layer(.convolutionOutputGate), .convolutionInput),
      (Layer(.convolved), .convolutionInput), (Layer(.convolutionOutput), .convolutionOutput),
    ]
  }

  public var inputSites: [Site] { [.convolutionInput] }

  /// The output is a product with one of the gates, channel by channel.
  public var folds: [Fold] { [Fold(site: .convolutionOutput, producer: .rows(Layer(.convolutionOutputGate)))] }

  public var mixesTokens: Bool { true }

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .convolutionInput)
    var values = context.linear(Layer(.convolved), input)
    values.multiply(by: context.linear(Layer(.convolutionInputGate), input))
    var result = context.convolved(values, size: kernelSize)
    result.multiply(by: context.linear(Layer(.convolutionOutputGate), input))
    context.pass(&result, through: .convolutionOutput)
    return context.isOutputWanted ? context.linear(Layer(.convolutionOutput), result) : nil
  }
}

extension Matrix {
  /// Multiplies every value by that of another matrix.
  mutating func multiply(by other: Matrix) {
    for i in values.indices { values[i] *= other.values[i] }
  }
}
