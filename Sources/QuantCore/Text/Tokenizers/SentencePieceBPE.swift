/// How SentencePiece text is prepared and joined again; tokenizer files differ only in this.
struct SentencePieceRules: Sendable, Equatable {
  /// `Metaspace` pre-tokenizer: spaces become `▁`, and the text may get one as its prefix.
  struct Metaspace: Sendable, Equatable {
    enum Prefix: Sendable, Equatable { case always, first, never }
    var prefix: Prefix
    /// Whether text is split before every `▁`, so that no token crosses one.
    var splits: Bool
  }

  var normalizers: [Normalizer]
  var metaspace: Metaspace?
  /// Whether a run of unknown characters is one unknown token.
  var fusesUnknown = true
  /// Whether decoding drops the leading space that encoding added.
  var stripsLeadingSpace = true
  /// Whether the contents of added tokens are normalized like text.
  var normalizesAddedTokens = true

  /// `▁`, U+2581, which represents a space.
  static let space: [UInt8] = [0xe2, 0x96, 0x81]

  /// The rules of Llama 2: `▁` before each part of the text between added tokens, and in place of each space.
  static func llama(addsPrefix: Bool) -> SentencePieceRules {
    let escape = Normalizer.replace([0x20], space)
    return SentencePieceRules(
      normalizers: addsPrefix ? [.prepend(space), escape] : [escape], stripsLeadingSpace: addsPrefix)
  }
}

/// SentencePiece byte-pair encoding with byte fallback, as Llama 2, Mistral and Phi-3 use it: text is not split into words,
/// spaces are ordinary characters, and a character without a token becomes its UTF-8 bytes.
struct SentencePieceBPE: Tokenizer {
  let data: TokenizerData
  private let index: TokenIndex
  private let merges: MergeTable
  private let added: AddedTokens
  private let rules: SentencePieceRules
  /// Ids of `<0x00>` … `<0xFF>`; empty if one is missing.
  private let byteIDs: [UInt32]
  private let byteOfID: [UInt32: UInt8]
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
    let index = try TokenIndex(data.tokens)
    self.index = index
    self.added = AddedTokens(added, normalizers: rules.normalizers, normalizesContent: rules.normalizesAddedTokens)
    merges = if let pairs { try MergeTable(pairs, index) } else { try MergeTable(scoresOf: data, index) }
    let bytes = (0..<256).compactMap { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return index.id(of: "<0x" + (byte < 16 ? "0" : "") + digits + ">").map { UInt32(truncatingIfNeeded: $0) }
    }
    byteIDs = bytes.count == 256 ? bytes : []
    byteOfID = Dictionary(byteIDs.enumerated().map { ($1, UInt8($0)) }) { first, _ in first }
    unknown = data.special["unknown"].flatMap { UInt32(exactly: $0) }
    let addedIDs = Set(added.map { $0.id })
    cutsAtSpaces = !data.tokens.indices.contains { id in
      guard !addedIDs.contains(id), let token = index.bytes(of: id) else { return false }
      return SentencePieceBPE.cuts(of: Array(token), everySpace: false).count > 1
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
        let bytes = escaped(bytes, isFirst: isFirst)
        let everySpace = rules.metaspace?.splits == true
        for word in cutsAtSpaces || everySpace ? SentencePieceBPE.cuts(of: bytes, everySpace: everySpace) : [0..<bytes.count] {
          symbols.removeAll(keepingCapacity: true)
          appendSymbols(of: bytes, word, to: &symbols)
          merges.apply(to: &symbols, &scratch)
          for id in symbols { ids.append(Int(id)) }
        }
      }
    }
    return ids
  }

  private func escaped(_ bytes: [UInt8], isFirst: Bool) -> [UInt8] {
    guard let metaspace = rules.metaspace else { return bytes }
    let bytes = Normalizer.replace([0x20], with: SentencePieceRules.space, in: bytes)
    let wantsPrefix = metaspace.prefix == .always || (metaspace.prefix == .first && isFirst)
    return wantsPrefix && !bytes.starts(with: SentencePieceRules.space) ? SentencePieceRules.space + bytes : bytes
  }

  /// Ranges that start at each `▁` that follows another character (or at every `▁`).
  private static func cuts(of bytes: [UInt8], everySpace: Bool) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    // End of the last `▁`.
    var spaceEnd = 0
    var index = 0
    while index < bytes.count {
      guard bytes[index] == 0xe2, bytes.count - index >= 3, bytes[index + 1] == 0x96, bytes[index + 2] == 0x81 else {
        index += 1
        continue
      }
      if index > start, everySpace || spaceEnd != index {
        ranges.append(start..<index)
        start = index
      }
      index += 3
      spaceEnd = index
    }
    if start < bytes.count { ranges.append(start..<bytes.count) }
    return ranges
  }

  private func appendSymbols(of bytes: [UInt8], _ word: Range<Int>, to symbols: inout [UInt32]) {
    var at = word.lowerBound
    while at < word.upperBound {
      let end = min(at + ScalarText.scalar(in: bytes, at: at).1, word.upperBound)
      if let id = index.id(of: bytes[at..<end]) {
        symbols.append(UInt32(truncatingIfNeeded: id))
      } else if !byteIDs.isEmpty {
        for byte in bytes[at..<end] { symbols.append(byteIDs[Int(byte)]) }
      } else if let unknown, !(rules.fusesUnknown && symbols.last == unknown) {
        symbols.append(unknown)
      }
      at = end
    }
  }

  func decode(_ ids: [Int]) -> String {
    var result: [UInt8] = []
    // Bytes of consecutive byte tokens, which together may form a character.
    var pending: [UInt8] = []
    func flush() {
      if String(validating: pending, as: UTF8.self) != nil {
        result.append(contentsOf: pending)
      } else {
        for _ in pending { result.append(contentsOf: UTF8.encodedReplacementCharacter) }
      }
      pending.removeAll()
    }
    for id in ids {
      if let byte = UInt32(exactly: id).flatMap({ byteOfID[$0] }) {
        pending.append(byte)
        continue
      }
      if !pending.isEmpty { flush() }
      result.append(contentsOf: bytes(of: id))
    }
    if !pending.isEmpty { flush() }
    if rules.stripsLeadingSpace, result.first == 0x20 { result.removeFirst() }
    return String(decoding: result, as: UTF8.self)
  }

  func bytes(of id: Int) -> [UInt8] {
    if let byte = UInt32(exactly: id).flatMap({ byteOfID[$0] }) { return [byte] }
    return index.bytes(of: id).map { Normalizer.replace(SentencePieceRules.space, with: [0x20], in: Array($0)) } ?? []
  }
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
      guard token.count <= 1024 else {
        throw Failure(.data, "tokenizer.token-length", "token \(id) has \(token.count) bytes, but at most 1024 are read")
      }
      for cut in token.indices.dropFirst() where token[cut] & 0xc0 != 0x80 {
        if let left = index.id(of: token[..<cut]), let right = index.id(of: token[cut...]), merges(left), merges(right) {
          insert(left, right, rank: ranks[data.scores[id]] ?? 0, id: id)
        }
      }
    }
  }
}
