/// A scheme with a parameter that several tiles share: a scale of the whole tensor.
///
/// Implement both requirements, and let `fit` use the fixed parameter. qconvert finds the largest magnitude of everything that
/// shares the parameter, and rounds with the scheme that `fitted` returns. A grid whose tiles span the tensor (`Grid.tileRows` nil)
/// needs this, because rows are rounded in pieces.
public protocol SharedScaleScheme: Scheme {
  /// What shares the parameter; nil if this scheme has none.
  var sharing: Sharing? { get }
  /// The scheme with the parameter fixed, for one tensor, or several that share it, with this largest magnitude. A scheme without
  /// such a parameter returns itself.
  func fitted(largestMagnitude: Float) -> any Scheme
}

/// What shares a parameter beyond the tiles of a scheme.
public enum Sharing: Sendable, Hashable {
  /// All tiles of a tensor.
  case tensor
  /// All tensors that clients join into one matrix: the layers of a block that read one input. Without a family, a single tensor.
  case jointLayers
}

extension Scheme {
  /// The scheme, if its tiles share a parameter; otherwise nil. Ask once for a tensor, not for each tile.
  public var sharedScale: (any SharedScaleScheme)? {
    guard let scheme = self as? any SharedScaleScheme, scheme.sharing != nil else { return nil }
    return scheme
  }
}
