extension ModelDescription {
  /// What the model computes, as one text: the same for equal models, different if any number, part or order differs. Fingerprints are
  /// made from it. It does not cover tensors.
  ///
  /// Parts are plain values whose default descriptions name every field, so a new part or field is covered without being listed here.
  package var canonicalText: String {
    let whole = "\(family) \(hiddenSize) \(vocabularySize) \(contextLength)\n\(embedding)\n\(head)\n"
    var distinct: [BlockDescription] = []
    var text = whole
    for block in blocks {
      if let known = distinct.firstIndex(of: block) {
        text += "block as \(known)\n"
      } else {
        distinct.append(block)
        text += "block \(block.branches)\n"
      }
    }
    return text
  }
}
