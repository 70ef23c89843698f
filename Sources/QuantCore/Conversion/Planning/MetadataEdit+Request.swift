extension MetadataEdit {
  /// The edits of a request: what goes first, so that a key can be given again with another type.
  /// - Throws: `Failure` of kind usage for a text that is no edit.
  static func edits(_ request: ConversionRequest) throws(Failure) -> [MetadataEdit] {
    try request.droppedMetadata.map { key in MetadataEdit(key: key, value: nil) }
      + request.metadataValues.map { text throws(Failure) in try MetadataEdit(text) }
  }
}
