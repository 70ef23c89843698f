public import QuantCore

extension Unpacker {
  /// Unpacks files without metadata.
  public func unpack(configuration: JSON, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    try unpack(configuration: configuration, stored: stored, metadata: KeyValues())
  }
}

extension Scheme {
  /// The scheme for a tensor with this largest magnitude: a fitted one if the whole tensor has a scale, otherwise the same.
  public func fittedToTensor(largestMagnitude: Float) -> any Scheme {
    sharedScale?.fitted(largestMagnitude: largestMagnitude) ?? self
  }
}
