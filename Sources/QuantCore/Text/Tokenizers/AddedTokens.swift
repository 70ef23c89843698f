/// A token that is matched in the text as a whole, before anything is merged.
struct AddedToken: Sendable, Equatable {
  var content: [UInt8]
  var id: Int
  /// Whether white space before (or after) the token belongs to it.
  var takesSpaceBefore = false
  var takesSpaceAfter = false
  /// Whether it must not touch a letter, digit or underscore on either side.
  var isSingleWord = false
  /// Whether it is matched after normalization.
  var isNormalized = false
  var isSpecial = false
}

/// Finds added tokens in text.
struct AddedTokens: Sendable {
  private let literal: TokenTrie
  private let normalized: TokenTrie
  private let normalizers: [Normalizer]

  /// - Parameters:
  ///   - normalizers: applied to the text between literal tokens.
  ///   - normalizesContent: whether the contents of normalized tokens are normalized too.
  /// - Throws: `Failure` `tokenizer.token-length`: a text is compared with the longest token at every place.
  init(_ tokens: [AddedToken], normalizers: [Normalizer], normalizesContent: Bool = true) throws(Failure) {
    self.normalizers = normalizers
    let tokens = try tokens.map { (token) throws(Failure) in
      var token = token
      if token.isNormalized, normalizesContent { token.content = normalizers.apply(token.content) }
      try TokenizerData.checkLength(token.content.count, of: token.id)
      return token
    }
    literal = TokenTrie(tokens.filter { !$0.isNormalized })
    normalized = TokenTrie(tokens.filter { $0.isNormalized })
  }

  enum Piece {
    /// Normalized text without added tokens; `isFirst` if the whole text starts with it.
    case text([UInt8], isFirst: Bool)
    case token(Int)
  }

  /// The text cut at added tokens.
  func split(_ text: [UInt8], _ body: (Piece) -> Void) {
    literal.split(text) { range, token in
      if let token { return body(.token(token)) }
      let part = normalizers.apply(range.count == text.count ? text : Array(text[range]))
      normalized.split(part) { inner, token in
        if let token { return body(.token(token)) }
        let isFirst = range.lowerBound == 0 && inner.lowerBound == 0
        body(.text(inner.count == part.count ? part : Array(part[inner]), isFirst: isFirst))
      }
    }
  }
}

/// A prefix tree of added tokens: at each position the longest match wins.
private struct TokenTrie: Sendable {
  private struct Node: Sendable {
    var children: [UInt8: Int] = [:]
    /// Index in `tokens` of the token that ends here.
    var token: Int?
  }

  private let tokens: [AddedToken]
  private var nodes = [Node()]
  private var isFirstByte = [Bool](repeating: false, count: 256)

  init(_ tokens: [AddedToken]) {
    self.tokens = tokens
    for (index, token) in tokens.enumerated() {
      guard let first = token.content.first else { continue }
      isFirstByte[Int(first)] = true
      var node = 0
      for byte in token.content {
        if let child = nodes[node].children[byte] {
          node = child
        } else {
          nodes.append(Node())
          nodes[node].children[byte] = nodes.count - 1
          node = nodes.count - 1
        }
      }
      nodes[node].token = index
    }
  }

  /// Calls `body` with the ranges between tokens and with the tokens, in order.
  func split(_ text: [UInt8], _ body: (Range<Int>, Int?) -> Void) {
    var done = 0
    var index = 0
    while index < text.count {
      guard isFirstByte[Int(text[index])], let found = longest(in: text, at: index) else {
        index += 1
        continue
      }
      let token = tokens[found]
      var start = index
      var end = index + token.content.count
      index = end
      if token.isSingleWord, touchesWord(text, start, end) { continue }
      if token.takesSpaceBefore { start = spaceStart(text, before: start, from: done) }
      if token.takesSpaceAfter { end = spaceEnd(text, from: end) }
      if done < start { body(done..<start, nil) }
      body(start..<end, token.id)
      done = end
      index = end
    }
    if done < text.count { body(done..<text.count, nil) }
  }

  private func longest(in text: [UInt8], at start: Int) -> Int? {
    var node = 0
    var found: Int?
    var index = start
    while index < text.count, let child = nodes[node].children[text[index]] {
      node = child
      index += 1
      if let token = nodes[node].token { found = token }
    }
    return found
  }

  private func touchesWord(_ text: [UInt8], _ start: Int, _ end: Int) -> Bool {
    let word = UnicodeClass.letter | UnicodeClass.mark | UnicodeClass.number
    func isWord(_ index: Int) -> Bool {
      let scalar = ScalarText.scalar(in: text, at: index).0
      return UnicodeClass.of(scalar) & word != 0 || scalar == 0x5f
    }
    return (start > 0 && isWord(scalarStart(text, before: start))) || (end < text.count && isWord(end))
  }

  private func scalarStart(_ text: [UInt8], before end: Int) -> Int {
    var index = end - 1
    while index > 0, text[index] & 0xc0 == 0x80 { index -= 1 }
    return index
  }

  /// Looks no further than the end of the token before: text is seen once, however many tokens there are.
  private func spaceStart(_ text: [UInt8], before end: Int, from first: Int) -> Int {
    var start = end
    while start > first {
      let index = scalarStart(text, before: start)
      guard UnicodeClass.of(ScalarText.scalar(in: text, at: index).0) == UnicodeClass.space else { break }
      start = index
    }
    return start
  }

  private func spaceEnd(_ text: [UInt8], from start: Int) -> Int {
    var end = start
    while end < text.count {
      let (scalar, length) = ScalarText.scalar(in: text, at: end)
      guard UnicodeClass.of(scalar) == UnicodeClass.space else { break }
      end += length
    }
    return end
  }
}
