import QuantCore
import TestSupport
import Testing

@testable import QuantText

/// Tokenizer files cannot make the work, or a text, much larger than what is read.
@Suite struct TokenizerGrowthTests {
  /// A map of characters (a tree without branches, and replacements) whose only replacement has so many bytes.
  private func map(longest count: Int) -> [UInt8] {
    let tree: [UInt8] = [0, 0, 0, 0]
    return [UInt8(tree.count), 0, 0, 0] + tree + [UInt8](repeating: 0x61, count: count) + [0]
  }

  @Test func aMapOfCharactersHasALimit() throws {
    _ = try CharacterMap(map(longest: 1000))
    let failure = #expect(throws: Failure.self) { try CharacterMap(map(longest: 1001)) }
    #expect(failure?.id == "limit.normalizer")
  }

  /// Tokens each of which is made of the one before, and the merges that follow from their ranks.
  @Test func ranksOfLongTokens() throws {
    var ranked = RankedVocabulary()
    ranked.preTokenizer = "gpt-2"
    for rank in 0..<300 { try ranked.add([UInt8](repeating: 0x61, count: rank + 1), rank: rank, limit: 1000) }
    let tokenizer = try ranked.tokenizer { _ in }
    #expect(tokenizer.data.merges.count == 299)
    #expect(tokenizer.encode(String(repeating: "a", count: 300)) == [299])
  }

  /// A text is compared with the tokens at every place, so their length has a limit.
  @Test func lengthsOfTokensHaveALimit() throws {
    func made(_ length: Int, _ kind: TokenizerData.Kind, isAdded: Bool) throws -> any Tokenizer {
      var data = TokenizerData(kind: kind, tokens: ["<unk>", String(repeating: "a", count: length)])
      data.types = [.unknown, isAdded ? .userDefined : .normal]
      data.scores = [0, -1]
      data.special["unknown"] = 0
      if kind == .byteLevelBPE { data.preTokenizer = "gpt-2" }
      return try Tokenizers.make(data)
    }
    for (kind, isAdded) in [
      (TokenizerData.Kind.byteLevelBPE, true), (.unigram, false), (.unigram, true), (.wordPiece, false), (.sentencePieceBPE, true),
    ] {
      _ = try made(1024, kind, isAdded: isAdded)
      let failure = #expect(throws: Failure.self, "\(kind)") { try made(1025, kind, isAdded: isAdded) }
      #expect(failure?.id == "tokenizer.token-length", "\(kind)")
    }
  }

  /// A ranked vocabulary in which no token is made of two has no merges, and no scores either.
  @Test func aVocabularyWithoutMergesCanBeWritten() throws {
    var ranked = RankedVocabulary()
    ranked.preTokenizer = "gpt-2"
    for (rank, token) in ["a", "b", "abab"].enumerated() { try ranked.add(Array(token.utf8), rank: rank, limit: 100) }
    let json = try ranked.tokenizer { _ in }.data.tokenizerJSON()
    #expect(json["model"]?["merges"]?.arrayValue?.isEmpty == true)
  }
}
