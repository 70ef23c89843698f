import QuantPlatform

/// Makes a few values of a token's active lane, from which lanes are predicted and corrected: the hyperbolic tangent of the product of the
/// normalized lane, divided by its width, with a small matrix.
///
/// The matrix and its norm are used twice in a block, on different values, so they are no linear layer that a method could calibrate.
public struct LaneRouter: Sendable, Hashable {
  public var lanes: Lanes
  public var norm: Norm

  public init(_ lanes: Lanes, norm: Norm) {
    self.lanes = lanes
    self.norm = norm
  }

  var tensors: [PartTensor] {
    [PartTensor(norm.role, [lanes.width], .norm), PartTensor(.laneRouter, [lanes.count, lanes.width], .lane)]
  }

  /// - Returns: `[tokens, coefficients]`.
  func coefficients(_ active: Matrix, by role: TensorRole, in context: any BlockContext) -> Matrix {
    var input = context.normed(active, by: norm)
    input.scale(rows: 0..<input.rows, by: 1 / Float(lanes.width))
    var values = context.linear(Layer(.laneRouter), input)
    // In doubles, so that rounding to float hides differences between C libraries.
    for i in values.values.indices { values.values[i] = Float(tanh(Double(values.values[i]))) }
    return context.linear(Layer(role), values)
  }
}
