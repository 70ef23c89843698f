extension CheckpointReader {
  /// The role of a matrix outside of the blocks, by its part in the model or, where no family knows it, by its name; else nil.
  package static func outerRole(_ name: String, id: TensorID?) -> TensorRole? {
    guard let id else { return role(ofTensor: name) }
    return !id.isBias && [.tokenEmbedding, .output].contains(id.role) ? id.role : nil
  }
}
