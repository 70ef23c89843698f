/// SentencePiece byte-pair encoding with byte fallback, as Llama 2, Mistral and Phi-3 use it: text is not split into words,
/// spaces are ordinary characters, and a character without a token becomes its UTF-8 bytes.
struct SentencePieceBPE: Tokenizer {
  let data: TokenizerData
  private let index: TokenIndex
  private let merges: MergeTable
  private let added: AddedTokens
  private let rules: SentencePieceRules
  private let preTokenizer: PreTokenizer
  private let bytePieces: BytePieces
  private let unknown: UInt32?
  /// Whether no token has a space after another character: then text can be split before spaces without changing a token,
  /// and long texts are merged word by word.
  private let cutsAtSpaces: Bool

  /// - Parameter merges: pairs by rank from a tokenizer.json, or nil: the scores decide.
  /// - Throws: `Failure` `tokenizer.…` if the data contradicts itself.
  init(
    _ data: TokenizerData, merges pairs: [(String, String)]?, added: [AddedToken], rules: SentencePieceRules
  ) throws(Failure) {
    self.data = data
    self.rules = rules
    preTokenizer = PreTokenizer(steps: rules.steps)
    let index = try TokenIndex(data.tokens)
    self.index = index
    self.added = try AddedTokens(added, normalizers: rules.normalizers, normalizesContent: rules.normalizesAddedTokens)
    merges = if let pairs { try MergeTable(pairs, index) } else { try MergeTable(scoresOf: data, index) }
    bytePieces = BytePieces(index)
    unknown = data.special["unknown"].flatMap { UInt32(exactly: $0) }
    let addedIDs = Set(added.map { $0.id })
    cutsAtSpaces = !data.tokens.indices.contains { id in
      guard !addedIDs.contains(id), let token = index.bytes(of: id) else { return false }
      return SentencePieceRules.cuts(of: Array(token), everySpace: false).count > 1
    }
  }

  func encode(_ text: String) -> [Int] {
    var ids: [Int] = []
    var symbols: [UInt32] = []
    var scratch = MergeTable.Scratch()
    added.split(Array(text.utf8)) { piece in
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let bytes, let isFirst):
        guard !rules.steps.isEmpty else { return append(rules.escaped(bytes, isFirst: isFirst), to: &ids, &symbols, &scratch) }
        preTokenizer.ranges(of: bytes) { part in
          append(rules.escaped(Array(bytes[part]), isFirst: isFirst && part.lowerBound == 0), to: &ids, &symbols, &scratch)
        }
      }
    }
    return ids
  }

  private func append(_ bytes: [UInt8], to ids: inout [Int], _ symbols: inout [UInt32], _ scratch: inout MergeTable.Scratch) {
    let everySpace = rules.metaspace?.splits == true
    for word in cutsAtSpaces || everySpace ? SentencePieceRules.cuts(of: bytes, everySpace: everySpace) : [0..<bytes.count] {
      symbols.removeAll(keepingCapacity: true)
      appendSymbols(of: bytes, word, to: &symbols)
      merges.apply(to: &symbols, &scratch)
      for id in symbols { ids.append(Int(id)) }
    }
  }

  private func appendSymbols(of bytes: [UInt8], _ word: Range<Int>, to symbols: inout [UInt32]) {
    var at = word.lowerBound
    while at < word.upperBound {
      let end = min(at + ScalarText.scalar(in: bytes, at: at).1, word.upperBound)
      if let id = index.id(of: bytes[at..<end]) {
        symbols.append(UInt32(truncatingIfNeeded: id))
      } else if !bytePieces.ids.isEmpty {
        for byte in bytes[at..<end] { symbols.append(bytePieces.ids[Int(byte)]) }
      } else if let unknown, !(rules.fusesUnknown && symbols.last == unknown) {
        symbols.append(unknown)
      }
      at = end
    }
  }

  func decode(_ ids: [Int]) -> String { bytePieces.decode(ids, index, stripsLeadingSpace: rules.stripsLeadingSpace) }

  func bytes(of id: Int) -> [UInt8] { bytePieces.bytes(of: id, index) }
}

extension MergeTable {
  /// Any two tokens whose joined text is a token merge; the higher its score, the earlier.
  /// - Throws: `Failure` `tokenizer.scores`, `tokenizer.token-length`.
  init(scoresOf data: TokenizerData, _ index: TokenIndex) throws(Failure) {
    guard data.scores.count == data.tokens.count, data.scores.allSatisfy({ $0.isFinite }) else {
      throw Failure(
        .data, "tokenizer.scores", "there are \(data.scores.count) scores for \(data.tokens.count) tokens, or one is not finite",
        remedy: "Check the tokenizer: each token needs one finite score.")
    }
    var ranks: [Float: Int] = [:]
    for (rank, score) in Set(data.scores).sorted(by: >).enumerated() { ranks[score] = rank }
    func merges(_ id: Int) -> Bool { id < data.types.count ? data.types[id] == .normal : true }
    self.init(capacity: data.tokens.count * 2)
    for id in data.tokens.indices where merges(id) {
      guard let token = index.bytes(of: id) else { continue }
      try TokenizerData.checkLength(token.count, of: id)
      for cut in token.indices.dropFirst() where token[cut] & 0xc0 != 0x80 {
        if let left = index.id(of: token[..<cut]), let right = index.id(of: token[cut...]), merges(left), merges(right) {
          insert(left, right, rank: ranks[data.scores[id]] ?? 0, id: id)
        }
      }
    }
  }
}
