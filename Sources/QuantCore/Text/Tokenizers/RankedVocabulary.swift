/// A vocabulary of byte strings in the order of their ranks, as tiktoken and Tekken store it: of all neighbours in a word, those merge first
/// whose joined bytes have the lowest rank.
struct RankedVocabulary {
  /// By rank; nil for a rank without a token.
  private(set) var tokens: [[UInt8]?] = []
  /// The id of the token with rank 0.
  var firstID = 0
  /// Tokens that are matched in text as a whole, by id.
  var special: [(id: Int, text: String)] = []
  /// A name of `KnownPreTokenizers`.
  var preTokenizer = ""

  /// - Throws: `Failure` `tokenizer.rank` if the rank is used twice, or out of proportion to the file.
  mutating func add(_ bytes: [UInt8], rank: Int, limit: Int) throws(Failure) {
    guard rank >= 0, rank < limit else { throw Failure(.data, "tokenizer.rank", "the rank \(rank) is out of range") }
    while tokens.count <= rank { tokens.append(nil) }
    guard tokens[rank] == nil else { throw Failure(.data, "tokenizer.rank", "two tokens have the rank \(rank)") }
    tokens[rank] = bytes
  }

  /// The tokenizer, whose special ids and rules `finish` sets.
  func tokenizer(_ finish: (inout TokenizerData) throws(Failure) -> Void) throws(Failure) -> any Tokenizer {
    let known = try KnownPreTokenizers.find(preTokenizer)
    var texts: [(id: Int, text: String)] = []
    texts.reserveCapacity(tokens.count)
    for (rank, bytes) in tokens.enumerated() {
      if let bytes { texts.append((firstID + rank, ByteAlphabet.spelled(bytes))) }
    }
    var data = TokenizerData(kind: .byteLevelBPE, tokens: [])
    data.preTokenizer = preTokenizer
    data.ignoreMerges = known.ignoresMerges ?? false
    let added = special.map { AddedToken(content: Array($0.text.utf8), id: $0.id, isSpecial: true) }
    try data.place(texts, added: added)
    for (id, _) in special { data.types[id] = .control }
    // With ranks as scores, the table holds every pair that merges.
    var scored = data
    scored.scores = data.tokens.indices.map { -Float($0) }
    let index = try TokenIndex(data.tokens)
    let merges = try MergeTable(scoresOf: scored, index)
    data.merges = merges.derivations(of: data, index)
    // A word that is a token is that token, which the merges alone may not reach.
    data.ignoreMerges = true
    try finish(&data)
    return try ByteLevelBPE(
      data, index, merges, added: added, normalizers: known.normalizes ? [.nfc] : [],
      preTokenizer: PreTokenizer(steps: known.steps, spelledSteps: known.spelledSteps))
  }
}

extension MergeTable {
  /// For each token of a byte-level vocabulary, in the order of ids: the two parts that are left if its bytes merge by lower ranks only.
  /// Tokens with another number of parts are left out.
  fileprivate func derivations(of data: TokenizerData, _ index: TokenIndex) -> [String] {
    var result: [String] = []
    var scratch = Scratch()
    let bytes = ByteAlphabet.spellings.map { index.id(of: $0[...]) }
    for id in data.tokens.indices where data.types[id] == .normal {
      guard let spelled = index.bytes(of: id) else { continue }
      let parts = ByteAlphabet.decode(spelled).map { bytes[Int($0)] }
      guard parts.count > 1, !parts.contains(nil) else { continue }
      var symbols = parts.compactMap { $0.map { UInt32(truncatingIfNeeded: $0) } }
      applyLong(to: &symbols, &scratch, below: id)
      if symbols.count == 2 { result.append(data.tokens[Int(symbols[0])] + " " + data.tokens[Int(symbols[1])]) }
    }
    return result
  }
}
