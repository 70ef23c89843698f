import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// Every tokenizer gives the tokens of the library that its model is used with, for 441 texts each. The tokenizers belong to others and
/// are not in the repository; `FixtureTokensTests` has small ones of the same kinds.
@Suite(.enabled(if: SharedData.has("tokenizers"), "needs ../shared/tokenizers"))
struct ExpectedTokensTests {
  @Test(arguments: ["gpt2", "opt", "cl100k", "qwen2", "deepseek", "falcon", "phi-3", "mistral-7b", "bert-uncased", "t5-small"])
  func tokenizerJSONGivesTheTokensOfTheTokenizersLibrary(name: String) throws {
    let folder = SharedData.path("tokenizers/\(name)")
    let lines = try ExpectedLine.load(folder + "/expected.jsonl")
    #expect(lines.count == 441)
    // Only the file is read: the configuration beside it may have another BOS rule (as with phi-3).
    let tokenizer = try Tokenizers.load(path: folder + "/tokenizer.json")
    #expect(tokenizer.differences(lines) == [])
  }

  /// Whisper's template adds two tokens at the start; CLIP's special tokens are named beside its file.
  @Test(arguments: ["whisper", "clip"])
  func aFolderGivesTheTokensOfTheTokenizersLibrary(name: String) throws {
    let folder = SharedData.path("tokenizers/\(name)")
    #expect(try Tokenizers.load(path: folder).differences(try ExpectedLine.load(folder + "/expected.jsonl")) == [])
  }

  @Test func aUnigramModelGivesNearlyTheTokensOfItsTokenizerJSON() throws {
    let source = SharedData.path("tokenizers/t5-small")
    let tokenizer = try Tokenizers.load(path: source + "/spiece.model")
    // Special tokens in the text stay text, equal sums of scores are decided otherwise, and two characters are treated differently.
    #expect(tokenizer.differences(try ExpectedLine.load(source + "/expected.jsonl"), special: false, decoding: false).count <= 11)
  }

  @Test func tokenizerModelGivesTheTokensOfSentencePiece() throws {
    let folder = SharedData.path("tokenizers/mistral-v3-model-only")
    let tokenizer = try Tokenizers.load(path: folder)
    #expect(tokenizer.differences(try ExpectedLine.load(folder + "/expected.jsonl")) == [])
  }

  @Test func tokenizerModelAndTokenizerJSONAgree() throws {
    let folder = SharedData.path("tokenizers/mistral-7b")
    let tokenizer = try Tokenizers.load(path: folder + "/tokenizer.model")
    // SentencePiece does not match control tokens in text; the expected ids are those of the tokenizers library.
    let lines = try ExpectedLine.load(folder + "/expected.jsonl").filter { line in
      !["<s>", "</s>", "<unk>"].contains { line.text.contains($0) }
    }
    #expect(lines.count > 430)
    #expect(tokenizer.differences(lines) == [])
  }

  @Test func vocabularyAndMergesGiveTheTokensOfTokenizerJSON() throws {
    let source = SharedData.path("tokenizers/opt")
    let folder = TemporaryFolder()
    for name in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
      writeFile(folder.file(name), readFile(source + "/" + name))
    }
    let tokenizer = try Tokenizers.load(path: folder.path)
    // Only tokenizer.json says that these two are special.
    let lines = try ExpectedLine.load(source + "/expected.jsonl").filter { line in
      !["<s>", "<unk>"].contains { line.text.contains($0) }
    }
    #expect(lines.count > 430)
    #expect(tokenizer.differences(lines) == [])
  }

  @Test(arguments: ["gpt2", "opt", "cl100k", "qwen2", "deepseek", "falcon", "phi-3", "mistral-7b", "bert-uncased"])
  func metadataOfGGUFKeepsTheTokenizer(name: String) throws {
    let folder = SharedData.path("tokenizers/\(name)")
    let original = try Tokenizers.load(path: folder + "/tokenizer.json")
    var metadata = KeyValues()
    for (key, value) in original.data.keyValues { metadata[key] = value }
    let data = try TokenizerData(ggufMetadata: metadata)
    #expect(data.keyValues.map { $0.0 } == original.data.keyValues.map { $0.0 })
    #expect(try Tokenizers.make(data).differences(try ExpectedLine.load(folder + "/expected.jsonl")) == [])
  }

  /// A folder made from a GGUF. Of the unigram tokenizer's texts, two hold characters that SentencePiece and the library map differently.
  @Test(arguments: [("bert-uncased", 0), ("t5-small", 2)])
  func aFileMadeFromStoredDataKeepsTheTokenizer(name: String, differing: Int) throws {
    let source = SharedData.path("tokenizers/\(name)")
    var metadata = KeyValues()
    for (key, value) in try Tokenizers.load(path: source).data.keyValues { metadata[key] = value }
    let data = try TokenizerData(ggufMetadata: metadata)
    let folder = TemporaryFolder()
    writeFile(folder.file("tokenizer.json"), Array(try data.tokenizerJSON().text().utf8))
    writeFile(folder.file("tokenizer_config.json"), Array(data.tokenizerConfiguration(contextLength: 512).text().utf8))
    let tokenizer = try Tokenizers.load(path: folder.path)
    #expect(tokenizer.differences(try ExpectedLine.load(source + "/expected.jsonl")).count <= differing)
  }
}
