/// A packing for stacks of matrices that are one tensor of a model: the experts of gpt-oss.
///
/// Codes of such a stack are `[experts, out, in]` where the floats of the same model are `[experts, in, out]`. The host transposes
/// them as needed, stores the stacks that a `StackPacking` holds in no other packing, and asks it about nothing else than `holds`
/// and `obstacle` for all other tensors.
public protocol StackPacking: Packing {
  /// Whether this tensor is a stack of matrices that readers unpack from this packing.
  /// - Parameter configuration: of the model.
  func holdsStack(_ name: String, configuration: Configuration?) -> Bool
}
