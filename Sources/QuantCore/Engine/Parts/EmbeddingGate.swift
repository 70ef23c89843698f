/// Lets hidden states choose what a block takes of its embedding of the token (`EmbeddingDescription.perBlock`): a matrix makes a gate of
/// them, whose activated values multiply the embedding, and a second matrix makes hidden states of the product.
public struct EmbeddingGate: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Channels of the embedding.
  public var innerSize: Int
  /// Applied to the gate.
  public var activation: Activation

  public init(width: Int, innerSize: Int, activation: Activation) {
    self.width = width
    self.innerSize = innerSize
    self.activation = activation
  }

  public var tensors: [PartTensor] {
    [
      PartTensor(.embeddingGate, [innerSize, width], .feedForward), PartTensor(.embeddingGateOutput, [width, innerSize], .feedForward),
    ]
  }

  public var linears: [(layer: Layer, input: Site)] {
    [(Layer(.embeddingGate), .embeddingGateInput), (Layer(.embeddingGateOutput), .embeddingGateOutput)]
  }

  public var inputSites: [Site] { [.embeddingGateInput] }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var input = input
    context.pass(&input, through: .embeddingGateInput)
    var gated = context.linear(Layer(.embeddingGate), input)
    activation.gate(&gated, by: context.blockEmbedding, parallel: context.parallel)
    context.pass(&gated, through: .embeddingGateOutput)
    return context.isOutputWanted ? context.linear(Layer(.embeddingGateOutput), gated) : nil
  }
}

extension TensorRole {
  /// The matrices of an embedding gate, and the norm behind it.
  public static let embeddingGate = TensorRole("embeddingGate")
  public static let embeddingGateOutput = TensorRole("embeddingGateOutput")
  public static let embeddingGateNorm = TensorRole("embeddingGateNorm")
}

extension Site {
  /// What the matrices of an embedding gate read.
  public static let embeddingGateInput = Site("embedding-gate.input")
  public static let embeddingGateOutput = Site("embedding-gate.output")
}
