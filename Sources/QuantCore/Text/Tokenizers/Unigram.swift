/// SentencePiece unigram, as T5 and XLM-R use it: of all ways to cut a text into pieces, the one with the largest sum of scores.
struct Unigram: Tokenizer {
  let data: TokenizerData
  private let index: TokenIndex
  private let trie: ByteTrie
  private let added: AddedTokens
  private let rules: SentencePieceRules
  private let preTokenizer: PreTokenizer
  private let bytePieces: BytePieces
  private let scores: [Double]
  private let unknown: Int32
  private let unknownScore: Double
  /// How much less an unknown character counts than the rarest piece.
  private static let unknownPenalty = 10.0

  /// - Throws: `Failure` `tokenizer.…` if the data contradicts itself.
  init(_ data: TokenizerData, added: [AddedToken], rules: SentencePieceRules) throws(Failure) {
    self.data = data
    self.rules = rules
    let index = try TokenIndex(data.tokens)
    self.index = index
    self.added = try AddedTokens(added, normalizers: rules.normalizers, normalizesContent: rules.normalizesAddedTokens)
    preTokenizer = PreTokenizer(steps: rules.steps)
    bytePieces = BytePieces(index)
    guard data.scores.count == data.tokens.count, data.scores.allSatisfy({ $0.isFinite }) else {
      throw Failure(
        .data, "tokenizer.scores", "there are \(data.scores.count) scores for \(data.tokens.count) tokens, or one is not finite",
        remedy: "Check the tokenizer: each token needs one finite score.")
    }
    guard let unknown = data.special["unknown"].flatMap({ Int32(exactly: $0) }), data.tokens.indices.contains(Int(unknown)) else {
      throw Failure(.data, "tokenizer.unknown", "the vocabulary lacks the token for characters that it cannot represent")
    }
    self.unknown = unknown
    scores = data.scores.map { Double($0) }
    var trie = ByteTrie(expecting: data.tokens.reduce(0) { $0 + $1.utf8.count })
    var lowest = 0.0
    for (id, token) in data.tokens.enumerated() where !token.isEmpty {
      let type = data.types.indices.contains(id) ? data.types[id] : .normal
      if type == .normal { lowest = min(lowest, scores[id]) }
      try TokenizerData.checkLength(token.utf8.count, of: id)
      if type == .normal || type == .userDefined { try trie.insert(token.utf8, Int32(truncatingIfNeeded: id)) }
    }
    self.trie = trie
    unknownScore = lowest - Unigram.unknownPenalty
  }

  func encode(_ text: String) -> [Int] {
    var ids: [Int] = []
    var scratch = Scratch()
    added.split(Array(text.utf8)) { piece in
      switch piece {
      case .token(let id): ids.append(id)
      case .text(let bytes, let isFirst):
        guard !rules.steps.isEmpty else { return append(rules.escaped(bytes, isFirst: isFirst), to: &ids, &scratch) }
        preTokenizer.ranges(of: bytes) { word in
          append(rules.escaped(Array(bytes[word]), isFirst: isFirst && word.lowerBound == 0), to: &ids, &scratch)
        }
      }
    }
    return ids
  }

  private func append(_ bytes: [UInt8], to ids: inout [Int], _ scratch: inout Scratch) {
    guard rules.metaspace?.splits == true else { return append(bytes, 0..<bytes.count, to: &ids, &scratch) }
    for word in SentencePieceRules.cuts(of: bytes, everySpace: true) { append(bytes, word, to: &ids, &scratch) }
  }

  /// The best way to reach each place of a word.
  fileprivate struct Scratch {
    var scores: [Double] = []
    var starts: [Int32] = []
    var ids: [Int32] = []
    var path: [Int32] = []
  }

  /// Finds the best pieces of one word (Viterbi's algorithm).
  private func append(_ bytes: [UInt8], _ word: Range<Int>, to ids: inout [Int], _ scratch: inout Scratch) {
    let count = word.count
    guard count > 0 else { return }
    if scratch.scores.count <= count {
      scratch.scores = [Double](repeating: 0, count: count + 1)
      scratch.starts = [Int32](repeating: 0, count: count + 1)
      scratch.ids = [Int32](repeating: 0, count: count + 1)
    }
    for place in 0...count { scratch.scores[place] = -.infinity }
    scratch.scores[0] = 0
    var place = 0
    while place < count {
      let (_, length) = ScalarText.scalar(in: bytes, at: word.lowerBound + place)
      let next = min(place + length, count)
      let score = scratch.scores[place]
      var coversCharacter = false
      var node = ByteTrie.root
      var end = place
      while end < count, let child = trie.child(of: node, bytes[word.lowerBound + end]) {
        node = child
        end += 1
        let id = trie.number(at: node)
        guard id >= 0 else { continue }
        scratch.take(sum(score, scores[Int(id)]), id, from: place, to: end)
        if end == next { coversCharacter = true }
      }
      if !coversCharacter { scratch.take(sum(score, unknownScore), unknown, from: place, to: next) }
      place = next
    }
    scratch.path.removeAll(keepingCapacity: true)
    while place > 0 {
      scratch.path.append(Int32(truncatingIfNeeded: place))
      place = Int(scratch.starts[place])
    }
    var isAfterUnknown = false
    for end in scratch.path.reversed() {
      let id = scratch.ids[Int(end)]
      if id != unknown {
        ids.append(Int(id))
      } else if !bytePieces.ids.isEmpty {
        let start = word.lowerBound + Int(scratch.starts[Int(end)])
        for byte in bytes[start..<word.lowerBound + Int(end)] { ids.append(Int(bytePieces.ids[Int(byte)])) }
      } else if !isAfterUnknown {
        ids.append(Int(id))
      }
      isAfterUnknown = id == unknown
    }
  }

  @inline(__always) private func sum(_ a: Double, _ b: Double) -> Double { rules.addsFloats ? Double(Float(a) + Float(b)) : a + b }

  func decode(_ ids: [Int]) -> String { bytePieces.decode(ids, index, stripsLeadingSpace: rules.stripsLeadingSpace) }

  func bytes(of id: Int) -> [UInt8] { bytePieces.bytes(of: id, index) }
}

extension Unigram.Scratch {
  @inline(__always) fileprivate mutating func take(_ score: Double, _ id: Int32, from start: Int, to end: Int) {
    guard score > scores[end] else { return }
    scores[end] = score
    starts[end] = Int32(truncatingIfNeeded: start)
    ids[end] = id
  }
}
