import QuantCore
import TestSupport
import Testing

@testable import QuantBase
@testable import QuantText

/// Tokenizers that are written as files give the same ids as before, when they were data of a GGUF.
@Suite struct WrittenTokenizerTests {
  private func write(_ data: TokenizerData, to folder: TemporaryFolder) throws {
    writeFile(folder.file("tokenizer.json"), Array(try data.tokenizerJSON().text(pretty: true).utf8))
    writeFile(folder.file("tokenizer_config.json"), Array(data.tokenizerConfiguration(contextLength: 512).text().utf8))
  }

  private func rewritten(_ data: TokenizerData) throws -> any Tokenizer {
    let folder = TemporaryFolder()
    try write(data, to: folder)
    return try Tokenizers.load(path: folder.path)
  }

  @Test func everyNamedPreTokenizerIsWrittenAsItIsRead() throws {
    let cases = try #require(try JSON.load(SharedData.fixture("tokenizers/byte-level/patterns.json")).arrayValue)
    let folder = TemporaryFolder()
    writeFile(folder.file("tokenizer.json"), readFile(SharedData.fixture("tokenizers/byte-level/tokenizer.json")))
    for sections in cases {
      let name = try #require(sections["name"]?.stringValue)
      let lines = try #require(sections["lines"]?.arrayValue).map { try ExpectedLine($0) }
      var data = try Tokenizers.load(path: folder.path, preTokenizer: name).data
      data.ignoreMerges = sections["ignore_merges"]?.boolValue ?? false
      let tokenizer = try rewritten(data)
      #expect(tokenizer.differences(lines, special: false) == [], "\(name)")
      #expect(tokenizer.data.tokens == data.tokens && tokenizer.data.merges == data.merges && tokenizer.data.types == data.types)
    }
    // For names that are not in the fixtures, the steps must cut text in the same way after reading.
    for named in KnownPreTokenizers.named {
      var data = TokenizerData(kind: .byteLevelBPE, tokens: ["a"])
      data.types = [.normal]
      data.preTokenizer = named.name
      data.ignoreMerges = named.ignoresMerges ?? false
      let again = try #require(try TokenizerJSON(data.tokenizerJSON()).data.preTokenizer, "\(named.name)")
      let cuts = KnownPreTokenizers.cuts(named.preTokenizer)
      #expect(KnownPreTokenizers.named.contains { $0.name == again && KnownPreTokenizers.cuts($0.preTokenizer) == cuts }, "\(named.name)")
    }
  }

  @Test func scoresBecomeMergesThatGiveTheSameTokens() throws {
    let model = try Tokenizers.load(path: SharedData.fixture("tokenizers/sentencepiece/tokenizer.model"))
    let lines = try ExpectedLine.load(SharedData.fixture("tokenizers/sentencepiece/expected.jsonl"))
    for addsPrefix in [nil, false] {
      var data = model.data
      data.addsSpacePrefix = addsPrefix
      let expected = try Tokenizers.make(data), tokenizer = try rewritten(data)
      for line in lines {
        #expect(tokenizer.encode(line.text) == expected.encode(line.text), "\(line.text.debugDescription)")
        #expect(tokenizer.encodeForModel(line.text) == expected.encodeForModel(line.text))
        #expect(tokenizer.decode(line.ids) == expected.decode(line.ids))
      }
      #expect(tokenizer.data.types == data.types && tokenizer.data.special["unknown"] == data.special["unknown"])
    }
  }

  @Test func specialTokensAndTheirRulesAreWritten() throws {
    var data = TokenizerData(kind: .byteLevelBPE, tokens: ["a", "b", "ab", "<s>", "</s>", "<|end|>", "user", "[PAD7]"])
    data.types = [.normal, .normal, .normal, .control, .control, .control, .userDefined, .unused]
    data.merges = ["a b"]
    data.preTokenizer = "gpt-2"
    data.special = ["bos": 3, "eos": 4, "eot": 5, "padding": 4]
    data.chatTemplate = "{% for m in messages %}{{ m }}\n{% endfor %}"
    for (addsBOS, addsEOS) in [(true, true), (true, false), (false, true), (false, false)] {
      data.addsBOS = addsBOS
      data.addsEOS = addsEOS
      let tokenizer = try rewritten(data)
      #expect(tokenizer.encodeForModel("ab") == (addsBOS ? [3] : []) + [2] + (addsEOS ? [4] : []))
      #expect(tokenizer.encode("abuserb<|end|>") == [2, 6, 1, 5])
      #expect(tokenizer.data.chatTemplate == data.chatTemplate)
      #expect(tokenizer.data.special["bos"] == 3 && tokenizer.data.special["eos"] == 4 && tokenizer.data.special["padding"] == 4)
      // The placeholder is not written as a token.
      #expect(tokenizer.data.tokens == data.tokens.dropLast())
    }
    // An id that names an ordinary token does not make it a special one.
    data.special["bos"] = 0
    #expect(data.tokenizerConfiguration(contextLength: 0)["bos_token"] == nil)
    data.special["bos"] = 3
    #expect(data.tokenizerConfiguration(contextLength: 0)["bos_token"] == .string("<s>"))
    let generation = JSON.object(data.specialIDs(forGeneration: true))
    #expect(generation["eos_token_id"] == .array([.int(4), .int(5)]))
    #expect(JSON.object(data.specialIDs(forGeneration: false))["eos_token_id"] == .int(4))
  }

  @Test func aPreTokenizerWithoutANameCannotBeWritten() {
    let data = TokenizerData(kind: .byteLevelBPE, tokens: ["a"])
    #expect(#expect(throws: Failure.self) { try data.tokenizerJSON() }?.id == "tokenizer.pre")
  }
}
