/// Byte-level byte-pair encoding, as GPT-2, Llama 3 and Qwen use it: a pattern splits text into words, the bytes of each
/// word are tokens, and neighbouring tokens are merged in the order that was learned.
struct ByteLevelBPE: Tokenizer {
  let data: TokenizerData
  private let index: TokenIndex
  private let merges: MergeTable
  private let added: AddedTokens
  private let preTokenizer: PreTokenizer
  /// Id of the token of each byte; nil if the vocabulary lacks it.
  private let byteIDs: [UInt32?]
  /// The same for the last byte of a word, if a suffix marks it (CLIP); empty otherwise.
  private let lastByteIDs: [UInt32?]

  /// - Parameter merges: pairs by rank, as in the file.
  /// - Throws: `Failure` `tokenizer.…` if the data contradicts itself.
  init(
    _ data: TokenizerData, merges pairs: [(String, String)], added: [AddedToken], normalizers: [Normalizer],
    preTokenizer: PreTokenizer, endOfWord: String = ""
  ) throws(Failure) {
    let index = try TokenIndex(data.tokens)
    try self.init(
      data, index, try MergeTable(pairs, index), added: added, normalizers: normalizers, preTokenizer: preTokenizer, endOfWord: endOfWord)
  }

  init(
    _ data: TokenizerData, _ index: TokenIndex, _ merges: MergeTable, added: [AddedToken], normalizers: [Normalizer],
    preTokenizer: PreTokenizer, endOfWord: String = ""
  ) throws(Failure) {
    self.data = data
    self.preTokenizer = preTokenizer
    self.index = index
    self.added = try AddedTokens(added, normalizers: normalizers)
    self.merges = merges
    func ids(_ suffix: String) -> [UInt32?] {
      ByteAlphabet.spellings.map { index.id(of: ($0 + suffix.utf8)[...]).map { UInt32(truncatingIfNeeded: $0) } }
    }
    byteIDs = ids("")
    lastByteIDs = endOfWord.isEmpty ? [] : ids(endOfWord)
  }

  func encode(_ text: String) -> [Int] {
    var ids: [Int] = []
    var symbols: [UInt32] = []
    var scratch = MergeTable.Scratch()
    added.split(Array(text.utf8)) { piece in
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let bytes, _):
        preTokenizer.words(of: bytes) { word in
          if data.ignoreMerges, let id = index.id(of: word.flatMap { ByteAlphabet.spellings[Int($0)] }[...]) {
            ids.append(id)
            return
          }
          symbols.removeAll(keepingCapacity: true)
          for byte in word {
            // A byte without a token is left out, as in the tokenizers library.
            if let id = byteIDs[Int(byte)] { symbols.append(id) }
          }
          if let last = word.last, !lastByteIDs.isEmpty, let id = lastByteIDs[Int(last)] {
            symbols.removeLast(byteIDs[Int(last)] == nil ? 0 : 1)
            symbols.append(id)
          }
          merges.apply(to: &symbols, &scratch)
          for id in symbols { ids.append(Int(id)) }
        }
      }
    }
    return ids
  }

  func decode(_ ids: [Int]) -> String {
    var result: [UInt8] = []
    for id in ids { result.append(contentsOf: bytes(of: id)) }
    return String(decoding: result, as: UTF8.self)
  }

  func bytes(of id: Int) -> [UInt8] { index.bytes(of: id).map(ByteAlphabet.decode) ?? [] }
}

extension MergeTable {
  /// The table of pairs in rank order.
  /// - Throws: `Failure` `tokenizer.merge` if one of the two or the merged token is not in the vocabulary.
  init(_ pairs: [(String, String)], _ index: TokenIndex) throws(Failure) {
    self.init(capacity: pairs.count)
    for (rank, pair) in pairs.enumerated() {
      guard let left = index.id(of: pair.0), let right = index.id(of: pair.1), let id = index.id(of: pair.0 + pair.1) else {
        throw Failure(
          .data, "tokenizer.merge",
          "merge \(rank) (\(pair.0.debugDescription) and \(pair.1.debugDescription)) uses or makes a token that is not in the vocabulary")
      }
      insert(left, right, rank: rank, id: id)
    }
  }
}
