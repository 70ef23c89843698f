extension MetadataEdit {
  /// The edits of a request: keys are dropped first, so that a key can be set again with another type.
  /// - Throws: `Failure` of kind usage for a text that is not an edit.
  static func edits(_ request: ConversionRequest) throws(Failure) -> [MetadataEdit] {
    try request.droppedMetadata.map { key in MetadataEdit(key: key, value: nil) }
      + request.metadataValues.map { text throws(Failure) in try MetadataEdit(text) }
  }
}
