import QuantCore
import TestSupport
import Testing

/// The same comparisons with small tokenizers that are in every clone.
@Suite struct FixtureTokensTests {
  /// The fixture's vocabulary with the sections of one case.
  private func tokenizer(_ sections: JSON, in folder: TemporaryFolder) throws -> any Tokenizer {
    let base = try JSON.load(SharedData.fixture("tokenizers/byte-level/tokenizer.json"))
    let members = try #require(base.objectValue).map { member in
      switch member.key {
      case "pre_tokenizer", "normalizer": JSON.Member(member.key, sections[member.key] ?? .null)
      case "model":
        JSON.Member(
          member.key,
          .object(
            (member.value.objectValue ?? []).map { part in
              JSON.Member(part.key, part.key == "ignore_merges" ? sections[part.key] ?? .null : part.value)
            }))
      default: member
      }
    }
    writeFile(folder.file("tokenizer.json"), Array(JSON.object(members).text().utf8))
    return try Tokenizers.load(path: folder.path)
  }

  @Test func everyKnownPatternGivesTheTokensOfTheTokenizersLibrary() throws {
    let cases = try #require(try JSON.load(SharedData.fixture("tokenizers/byte-level/patterns.json")).arrayValue)
    #expect(cases.count == 8)
    for sections in cases {
      let name = try #require(sections["name"]?.stringValue)
      let folder = TemporaryFolder()
      let tokenizer = try tokenizer(sections, in: folder)
      let lines = try #require(sections["lines"]?.arrayValue).map { try ExpectedLine($0) }
      #expect(lines.count > 30)
      #expect(tokenizer.data.preTokenizer == name)
      #expect(tokenizer.differences(lines, special: false) == [], "\(name)")
      // The name alone, as in a GGUF file, gives the same tokens.
      #expect(try Tokenizers.make(tokenizer.data).differences(lines, special: false) == [], "\(name) by name")
    }
  }

  @Test func aSentencePieceModelGivesTheTokensOfSentencePiece() throws {
    let tokenizer = try Tokenizers.load(path: SharedData.fixture("tokenizers/sentencepiece/tokenizer.model"))
    let lines = try ExpectedLine.load(SharedData.fixture("tokenizers/sentencepiece/expected.jsonl"))
    #expect(lines.count > 30)
    // Here a control token in text is split into ordinary tokens, and decoding gives the same text.
    #expect(tokenizer.differences(lines) == [])
  }

  @Test func streamedBytesJoinToTheDecodedText() throws {
    let tokenizer = try Tokenizers.load(path: SharedData.fixture("tokenizers/sentencepiece/tokenizer.model"))
    let text = "let \u{1f600} = \u{4f60}"
    let ids = tokenizer.encode(text)
    #expect(String(decoding: ids.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self) == " " + text)
  }

  @Test func paddingAddsUnusedTokens() throws {
    let tokenizer = try Tokenizers.load(path: SharedData.fixture("tokenizers/sentencepiece/tokenizer.model"))
    let count = tokenizer.data.tokens.count
    let padded = tokenizer.data.padded(to: count + 2)
    #expect(padded.tokens.suffix(2) == ["[PAD\(count)]", "[PAD\(count + 1)]"])
    #expect(padded.types.last == .unused)
    #expect(padded.scores.last == -10000)
    #expect(tokenizer.data.padded(to: 3) == tokenizer.data)
  }

  @Test func addedTokensTakeTheSpaceAroundThem() throws {
    let folder = TemporaryFolder()
    let letters = (0..<26).map { index in
      let letter = String(decoding: [UInt8(ascii: "a") + UInt8(index)], as: UTF8.self)
      return JSON.Member(letter, .int(index))
    }
    func added(_ id: Int, _ text: String, _ flag: String) -> JSON {
      .object([JSON.Member("id", .int(id)), JSON.Member("content", .string(text)), JSON.Member(flag, .bool(true))])
    }
    let root = JSON.object([
      JSON.Member("added_tokens", .array([added(26, "<l>", "lstrip"), added(27, "<r>", "rstrip"), added(28, "cat", "single_word")])),
      JSON.Member("pre_tokenizer", .object([JSON.Member("type", .string("ByteLevel"))])),
      JSON.Member("model", .object([JSON.Member("vocab", .object(letters)), JSON.Member("merges", .array([]))])),
    ])
    writeFile(folder.file("tokenizer.json"), Array(root.text().utf8))
    let tokenizer = try Tokenizers.load(path: folder.path)
    // There is no token for the space: a space that is left disappears, as in the tokenizers library.
    #expect(tokenizer.encode("a \t<l>b") == [0, 26, 1])
    #expect(tokenizer.encode("a<r>\n b") == [0, 27, 1])
    #expect(tokenizer.encode("cat") == [28])
    #expect(tokenizer.encode("a cat b") == [0, 28, 1])
    #expect(tokenizer.encode("cats") == [2, 0, 19, 18])
    #expect(tokenizer.encode("\u{e9}cat").suffix(3) == [2, 0, 19])
  }

  @Test func theTokenizerOfAModelDecodesWhatItEncodes() throws { try checkDecoding(SharedData.fixture("models/tiny-llama")) }

  @Test(.enabled(if: SharedData.has("models"), "needs ../shared/models"), arguments: ["tiny-opt", "stories260k"])
  func tokenizersOfOtherModelsLoadAndDecodeWhatTheyEncode(name: String) throws { try checkDecoding(SharedData.path("models/\(name)")) }

  private func checkDecoding(_ folder: String) throws {
    let tokenizer = try Tokenizers.load(path: folder)
    let text = "Once upon a time, there were 3 \"cats\"\u{2026}\nThe end."
    let ids = tokenizer.encode(text)
    #expect(tokenizer.decode(ids) == text)
    #expect(ids.count < text.utf8.count)
  }
}
