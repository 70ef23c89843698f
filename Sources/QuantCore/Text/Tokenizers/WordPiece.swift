/// WordPiece, as BERT uses it: each word becomes the longest tokens from its start; those after the first are marked as continuations.
struct WordPiece: Tokenizer {
  /// What tokenizer files say about it besides the vocabulary.
  struct Rules: Sendable, Equatable {
    var normalizers: [Normalizer]
    /// How text becomes words.
    var steps: [SplitPattern] = [.whiteSpace, .punctuation(runs: false)]
    /// Marks a token that continues a word.
    var continuation = Array("##".utf8)
    /// A word with more characters is unknown.
    var maximumCharacters = 100
    /// Whether decoding removes spaces before punctuation.
    var cleansUp = false
  }

  let data: TokenizerData
  private let index: TokenIndex
  private let added: AddedTokens
  private let rules: Rules
  private let preTokenizer: PreTokenizer
  private let trie: ByteTrie
  /// Where continuations begin in the tree; nil if the vocabulary has none.
  private let continuations: UInt32?
  private let unknown: Int

  /// - Throws: `Failure` `tokenizer.…` if the data contradicts itself.
  init(_ data: TokenizerData, added: [AddedToken], rules: Rules) throws(Failure) {
    self.data = data
    self.rules = rules
    index = try TokenIndex(data.tokens)
    self.added = try AddedTokens(added, normalizers: rules.normalizers)
    preTokenizer = PreTokenizer(steps: rules.steps)
    guard let unknown = data.special["unknown"], data.tokens.indices.contains(unknown) else {
      throw Failure(.data, "tokenizer.unknown", "the vocabulary lacks the token for words that it cannot represent")
    }
    self.unknown = unknown
    var trie = ByteTrie(expecting: data.tokens.reduce(0) { $0 + $1.utf8.count })
    for (id, token) in data.tokens.enumerated() where !data.isPlaceholder(id) {
      try TokenizerData.checkLength(token.utf8.count, of: id)
      try trie.insert(token.utf8, Int32(truncatingIfNeeded: id))
    }
    var node: UInt32? = ByteTrie.root
    for byte in rules.continuation { node = node.flatMap { trie.child(of: $0, byte) } }
    continuations = node
    self.trie = trie
  }

  func encode(_ text: String) -> [Int] {
    var ids: [Int] = []
    added.split(Array(text.utf8)) { piece in
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let bytes, _): preTokenizer.ranges(of: bytes) { append(bytes, $0, to: &ids) }
      }
    }
    return ids
  }

  private func append(_ bytes: [UInt8], _ word: Range<Int>, to ids: inout [Int]) {
    let isLong =
      word.count > rules.maximumCharacters && bytes[word].reduce(0) { $0 + ($1 & 0xc0 == 0x80 ? 0 : 1) } > rules.maximumCharacters
    let before = ids.count
    var start = word.lowerBound
    var node: UInt32? = ByteTrie.root
    while !isLong, start < word.upperBound, let from = node, let found = trie.longest(in: bytes, from: start, to: word.upperBound, at: from)
    {
      ids.append(Int(found.number))
      start = found.end
      node = continuations
    }
    if start < word.upperBound {
      ids.removeLast(ids.count - before)
      ids.append(unknown)
    }
  }

  func decode(_ ids: [Int]) -> String {
    var result: [UInt8] = []
    for (place, id) in ids.enumerated() {
      guard let token = index.bytes(of: id) else { continue }
      var bytes = Array(token)
      if place > 0 {
        if bytes.starts(with: rules.continuation) { bytes.removeFirst(rules.continuation.count) } else { bytes.insert(0x20, at: 0) }
      }
      result.append(contentsOf: rules.cleansUp ? WordPiece.cleanedUp(bytes) : bytes)
    }
    return String(decoding: result, as: UTF8.self)
  }

  func bytes(of id: Int) -> [UInt8] {
    guard let token = index.bytes(of: id) else { return [] }
    return token.starts(with: rules.continuation) ? Array(token.dropFirst(rules.continuation.count)) : [0x20] + Array(token)
  }

  /// A token without the space that written English does not have.
  static func cleanedUp(_ token: [UInt8]) -> [UInt8] {
    guard token.contains(0x20) else { return token }
    var token = token
    for (old, new) in cleanups { token = Normalizer.replace(old, with: new, in: token) }
    return token
  }

  private static let cleanups: [([UInt8], [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"),
    (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (Array($0.0.utf8), Array($0.1.utf8)) }
}
