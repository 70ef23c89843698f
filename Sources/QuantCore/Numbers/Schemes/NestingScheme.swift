/// A scheme that quantizes the parameters of its tiles, too, with parameters that many tiles share.
///
/// Implement all three. `encode`, `fit` and `nearest` work with the parameters as they are before that; the host hands over the
/// largest magnitudes of all tiles of a matrix first, and calls `nest` of the fitted scheme when the codes of a panel are chosen.
public protocol NestingScheme: Scheme {
  /// Whether this scheme does so. One that does not is never asked for more.
  var nestsParameters: Bool { get }
  /// The scheme for one matrix.
  /// - Parameter tileMagnitudes: the largest magnitude of every tile, row after row.
  func fitted(tileMagnitudes: [Float]) -> any NestingScheme
  /// Replaces parameters, once their codes are chosen, by those that will be stored.
  /// - Parameter firstTile: of the panel, counted through the matrix.
  func nest(_ quantized: inout QuantizedPanel, firstTile: Int)
}

extension Scheme {
  /// The scheme, where it quantizes parameters; else nil. To be asked once for a tensor, not for each tile.
  public var nesting: (any NestingScheme)? {
    guard let scheme = self as? any NestingScheme, scheme.nestsParameters else { return nil }
    return scheme
  }
}
