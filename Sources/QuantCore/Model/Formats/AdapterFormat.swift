/// A format that holds low-rank adapters.
public protocol AdapterFormat: CheckpointFormat {
  /// The tensors of an adapter, with their names and shapes in this format.
  /// - Throws: `Failure` if the format has no place for some of it.
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor]
}
