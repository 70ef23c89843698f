/// A packing for stacks of matrices that are one tensor of a model: the experts of gpt-oss.
///
/// Codes of such a stack are `[experts, out, in]`, while the floats of the same model are `[experts, in, out]`. The host transposes
/// them as needed, and stores the stacks that a `StackPacking` holds in no other packing. For other tensors it is treated like any
/// packing: it must refuse those that it cannot hold in `holds` and `obstacle`.
public protocol StackPacking: Packing {
  /// Whether this tensor is a stack of matrices that clients unpack from this packing.
  /// - Parameter configuration: of the model.
  func holdsStack(_ name: String, configuration: Configuration?) -> Bool
}
