/// What a method makes of one tensor of the model before anything is observed or rounded.
public protocol TensorRewrite: Sendable {
  /// Whether a row of the result depends on other rows of the tensor. Then the whole tensor is decoded for any of them.
  var mixesRows: Bool { get }
  /// - Parameter rows: some rows of the tensor in the model's order, or all if `mixesRows`. A vector is one row.
  func apply(to rows: inout Matrix)
}
