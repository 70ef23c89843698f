extension TokenizerData {
  /// Checks that the parts fit together.
  /// - Throws: `Failure` `tokenizer.types`, `tokenizer.scores`, `tokenizer.special-id`.
  public func check() throws(Failure) {
    guard types.isEmpty || types.count == tokens.count else {
      throw Failure(.data, "tokenizer.types", "there are \(types.count) token types for \(tokens.count) tokens")
    }
    guard !kind.isSentencePiece || scores.count == tokens.count else {
      throw Failure(.data, "tokenizer.scores", "there are \(scores.count) scores for \(tokens.count) tokens")
    }
    for (name, id) in special.sorted(by: { $0.key < $1.key }) where !tokens.indices.contains(id) {
      throw Failure(
        .data, "tokenizer.special-id", "the \(name) token has the id \(id), but there are \(tokens.count) tokens")
    }
  }

  /// Length of the longest token that is read, in bytes. At each place of a text, and of a token, the work grows with it.
  private static let longestToken = 1024

  /// - Throws: `Failure` `tokenizer.token-length`.
  static func checkLength(_ count: Int, of id: Int) throws(Failure) {
    guard count <= longestToken else {
      throw Failure(.data, "tokenizer.token-length", "token \(id) has \(count) bytes, but at most \(longestToken) are read")
    }
  }

  /// Whether with a pre-tokenizer of this name a word that is a token becomes that token, regardless of the merges.
  public static func ignoresMerges(_ preTokenizer: String?) -> Bool {
    KnownPreTokenizers.named.first { $0.name == preTokenizer }?.ignoresMerges ?? false
  }
}
