/// A scheme that also quantizes the parameters of its tiles, with parameters that many tiles share.
///
/// Implement all three. `encode`, `fit` and `nearest` work with the parameters before they are quantized; qconvert first passes the
/// largest magnitudes of all tiles of a matrix, and calls `nest` on the fitted scheme when the codes of a panel are chosen.
public protocol NestingScheme: Scheme {
  /// Whether this scheme quantizes parameters. If not, nothing else here is called.
  var nestsParameters: Bool { get }
  /// The scheme for one matrix.
  /// - Parameter tileMagnitudes: the largest magnitude of every tile, row after row.
  func fitted(tileMagnitudes: [Float]) -> any NestingScheme
  /// Replaces parameters, once their codes are chosen, by those that will be stored.
  /// - Parameter firstTile: index in the matrix of the panel's first tile.
  func nest(_ quantized: inout QuantizedPanel, firstTile: Int)
}

extension Scheme {
  /// The scheme, if it quantizes parameters; otherwise nil. Ask once for a tensor, not for each tile.
  public var nesting: (any NestingScheme)? {
    guard let scheme = self as? any NestingScheme, scheme.nestsParameters else { return nil }
    return scheme
  }
}
