/// A feed-forward network: processes every token separately with two matrices, or three with a gate, and a nonlinear function between
/// them.
public struct FeedForward: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Channels between the matrices.
  public var innerSize: Int
  /// The nonlinear function.
  public var activation: Activation
  /// Whether `up` is multiplied by the activated `gate`; else `up` itself is activated.
  public var isGated: Bool
  /// What silences most channels of the gate before the function; nil: nothing.
  public var sparsity: GaussianSparsity?

  public init(width: Int, innerSize: Int, activation: Activation, isGated: Bool = true) {
    self.width = width
    self.innerSize = innerSize
    self.activation = activation
    self.isGated = isGated
  }

  public var tensors: [PartTensor] { tensors(.gate, .up, .down, .feedForward) }

  public var linears: [(layer: Layer, input: Site)] {
    (isGated ? [(.gate, .feedForwardInput)] : []) + [(.up, .feedForwardInput), (.down, .feedForwardOutput)]
  }

  public var inputSites: [Site] { [.feedForwardInput] }

  public var folds: [Fold] { letsScalesThrough ? [Fold(site: .feedForwardOutput, producer: .rows(.up))] : [] }

  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var input = input
    context.pass(&input, through: .feedForwardInput)
    return transform(input, layers: (.gate, .up, .down), output: .feedForwardOutput, in: context)
  }

  // MARK: Experts are feed-forward networks too

  /// Whether scaling the output of `up` scales the input of `down`.
  var letsScalesThrough: Bool { isGated ? activation.isLinearInOther : activation.isHomogeneous }

  func tensors(_ gate: TensorRole, _ up: TensorRole, _ down: TensorRole, expert: Int? = nil, _ kind: TensorKind) -> [PartTensor] {
    (isGated ? [PartTensor(gate, expert: expert, [innerSize, width], kind)] : []) + [
      PartTensor(up, expert: expert, [innerSize, width], kind), PartTensor(down, expert: expert, [width, innerSize], kind),
    ]
  }

  /// Computes the output from the input; nil if the output is not needed.
  func transform(_ input: Matrix, layers: (gate: Layer, up: Layer, down: Layer), output: Site, in context: any BlockContext) -> Matrix? {
    var inner = context.linear(isGated ? layers.gate : layers.up, input)
    sparsity?.apply(&inner, parallel: context.parallel)
    if isGated {
      activation.gate(&inner, by: context.linear(layers.up, input), parallel: context.parallel)
    } else {
      activation.apply(&inner, parallel: context.parallel)
    }
    context.pass(&inner, through: output)
    return context.isOutputWanted ? context.linear(layers.down, inner) : nil
  }
}
