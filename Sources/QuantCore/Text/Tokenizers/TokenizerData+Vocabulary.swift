/// Building the vocabulary of a tokenizer from its parts.
extension TokenizerData {
  /// Puts texts and added tokens at their ids; ids without a token get an unused placeholder.
  /// - Throws: `Failure` `tokenizer.id` for ids that are negative, used twice, or far beyond the number of tokens.
  mutating func place(_ texts: [(id: Int, text: String)], added: [AddedToken]) throws(Failure) {
    // Ids may have gaps, but a file must not cause an allocation out of proportion to its size.
    let limit = 2 * (texts.count + added.count) + 65536
    var highest = -1
    for id in texts.lazy.map({ $0.id }) { highest = try TokenizerData.checked(id, highest, limit) }
    for token in added { highest = try TokenizerData.checked(token.id, highest, limit) }
    var filled: [String?] = Array(repeating: nil, count: highest + 1)
    for (id, text) in texts {
      guard filled[id] == nil else { throw Failure(.data, "tokenizer.id", "two tokens have the id \(id)") }
      filled[id] = text
    }
    types = filled.map { $0 == nil ? .unused : .normal }
    for token in added {
      let text = String(decoding: token.content, as: UTF8.self)
      let isControl = token.isSpecial || TokenizerData.looksSpecial(text)
      types[token.id] = isControl ? .control : .userDefined
      filled[token.id] = text
    }
    tokens = filled.enumerated().map { $1 ?? "[PAD\($0)]" }
  }

  private static func checked(_ id: Int, _ highest: Int, _ limit: Int) throws(Failure) -> Int {
    guard id >= 0, id < limit else {
      throw Failure(.data, "tokenizer.id", "the id \(id) is out of range for a tokenizer of this size")
    }
    return max(id, highest)
  }

  /// Whether, by llama.cpp's rule, a token is a control token although its file does not say so.
  static func looksSpecial(_ text: String) -> Bool {
    ["<pad>", "<mask>", "<2mass>", "[@BOS@]"].contains(text) || (text.hasPrefix("<|") && text.hasSuffix("|>"))
      || (text.hasPrefix("<\u{ff5c}") && text.hasSuffix("\u{ff5c}>")) || (text.hasPrefix("<unused") && text.hasSuffix(">"))
  }

  /// Whether BOS is added before a text. If the files do not say, it is for SentencePiece BPE, WordPiece, Llama 3 and Tekken.
  var startsWithBOS: Bool {
    addsBOS ?? (kind == .sentencePieceBPE || kind == .wordPiece || preTokenizer == "llama-bpe" || preTokenizer == "tekken")
  }

  /// Whether EOS is added after a text. If the files do not say, it is for WordPiece and unigram models.
  var endsWithEOS: Bool { addsEOS ?? (kind == .wordPiece || kind == .unigram) }

  /// The ids around a text.
  var around: Template {
    if let template { return template }
    let first = special["bos"] ?? (kind == .wordPiece ? special["cls"] : nil)
    let last = special["eos"] ?? (kind == .wordPiece ? special["seperator"] : nil)
    return Template(front: startsWithBOS ? first.map { [$0] } ?? [] : [], back: endsWithEOS ? last.map { [$0] } ?? [] : [])
  }

  /// Whether an id has a placeholder because the tokenizer has no token for it.
  func isPlaceholder(_ id: Int) -> Bool { types.indices.contains(id) && types[id] == .unused && tokens[id] == "[PAD\(id)]" }

  /// The id of a token by its bytes.
  func id(of text: String) -> Int? { tokens.firstIndex { $0.utf8.elementsEqual(text.utf8) } }

  /// Gives `<0x00>` … `<0xFF>` the type `byte`.
  mutating func markByteTokens() {
    for (id, token) in tokens.enumerated() where token.utf8.count == 6 && token.hasPrefix("<0x") && token.hasSuffix(">") {
      if UInt8(token.dropFirst(3).dropLast(), radix: 16) != nil { types[id] = .byte }
    }
  }

  /// Scores with which clients merge in the order of `merges`: minus the rank of the first merge that produces a token.
  /// Single characters come after all of them, as in models that SentencePiece writes.
  func scores(from merges: [(String, String)]) -> [Float] {
    var ranks: [[UInt8]: Int] = [:]
    ranks.reserveCapacity(merges.count)
    var distinct = 0
    for (left, right) in merges {
      let joined = Array(left.utf8) + Array(right.utf8)
      if ranks[joined] == nil {
        ranks[joined] = distinct
        distinct += 1
      }
    }
    return tokens.enumerated().map { id, token in
      guard types[id] == .normal else { return 0 }
      return -Float(ranks[Array(token.utf8)] ?? distinct)
    }
  }

  /// The two texts of every merge.
  /// - Throws: `Failure` `tokenizer.merge`.
  func pairs() throws(Failure) -> [(String, String)] {
    var pairs: [(String, String)] = []
    pairs.reserveCapacity(merges.count)
    for (rank, text) in merges.enumerated() {
      guard let pair = TokenizerData.pair(of: text) else {
        throw Failure(.data, "tokenizer.merge", "merge \(rank) is not two texts separated by a space")
      }
      pairs.append(pair)
    }
    return pairs
  }

  /// The two texts of a merge as files write it: `left right`.
  static func pair(of text: String) -> (String, String)? {
    let parts = text.utf8.split(separator: 0x20, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
    return (String(parts[0]) ?? "", String(parts[1]) ?? "")
  }

  /// `left right`. A space inside one of them is written as the character that represents it in byte-level tokens.
  static func spelling(of pair: (String, String)) -> String {
    func escaped(_ part: String) -> String { part.utf8.contains(0x20) ? String(part.map { $0 == " " ? "\u{120}" : $0 }) : part }
    return escaped(pair.0) + " " + escaped(pair.1)
  }

  /// The same without the tokens from a number on, which the model has no rows for.
  package func cut(to rows: Int) -> TokenizerData {
    var result = self
    result.tokens = Array(tokens.prefix(rows))
    result.types = Array(types.prefix(rows))
    result.scores = Array(scores.prefix(rows))
    result.special = special.filter { $0.value < rows }
    result.ends = ends.filter { $0 < rows }
    result.template = template.map { Template(front: $0.front.filter { $0 < rows }, back: $0.back.filter { $0 < rows }) }
    return result
  }

  /// The same with unused tokens added at the end, so that there is one for each row of the embedding.
  public func padded(to rows: Int) -> TokenizerData {
    var result = self
    guard tokens.count < rows else { return result }
    for id in tokens.count..<rows {
      result.tokens.append("[PAD\(id)]")
      result.types.append(.unused)
      if kind.isSentencePiece { result.scores.append(-10000) }
    }
    return result
  }
}
