/// A format that holds low-rank adapters.
public protocol AdapterFormat: CheckpointFormat {
  /// The tensors of an adapter, under their names in this container.
  /// - Throws: `Failure` where the container has no place for a part of it.
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor]
}
