/// A scheme with a parameter that more than a tile shares: a scale of the whole tensor.
///
/// Implement both requirements, and let `fit` use the fixed parameter. The host looks for the largest magnitude of everything that
/// shares the parameter, and rounds with the scheme that `fitted` answers. A grid whose tiles span the tensor (`Grid.tileRows` nil)
/// needs this, because rows are rounded in pieces.
public protocol SharedScaleScheme: Scheme {
  /// What shares the parameter; nil where this scheme has none.
  var sharing: Sharing? { get }
  /// The scheme for one tensor, or several that share the parameter, whose largest magnitude is `largestMagnitude`: with that
  /// parameter fixed. A scheme without one stays as it is.
  func fitted(largestMagnitude: Float) -> any Scheme
}

/// What shares a parameter beyond the tiles of a scheme.
public enum Sharing: Sendable, Hashable {
  /// All of a tensor.
  case tensor
  /// All tensors that programs join into one matrix: the layers of a block that read one input. Without a family, a tensor alone.
  case jointLayers
}

extension Scheme {
  /// The scheme, where something beyond its tiles shares a parameter; else nil. To be asked once for a tensor, not for each tile.
  public var sharedScale: (any SharedScaleScheme)? {
    guard let scheme = self as? any SharedScaleScheme, scheme.sharing != nil else { return nil }
    return scheme
  }
}
