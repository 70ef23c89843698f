/// A request to merge an adapter.
public struct AdapterRequest: Sendable, Equatable {
  /// Folder or file of the adapter.
  public var path: String
  /// The factor that the adapter's own scale is multiplied by.
  public var factor: Double

  public init(path: String, factor: Double = 1) {
    self.path = path
    self.factor = factor
  }
}
