import QuantCore
import TestSupport
import Testing

/// Every tokenizer gives the tokens of the library that its model is used with, on 441 texts each.
@Suite struct ExpectedTokensTests {
  @Test(arguments: ["gpt2", "opt", "cl100k", "qwen2", "deepseek", "falcon", "phi-3", "mistral-7b"])
  func tokenizerJSONGivesTheTokensOfTheTokenizersLibrary(name: String) throws {
    guard let folder = SharedData.path("tokenizers/\(name)") else { return }
    let lines = try ExpectedLine.load(folder + "/expected.jsonl")
    #expect(lines.count == 441)
    // The file by itself: the configuration beside it may ask for another BOS rule (phi-3 does).
    let tokenizer = try Tokenizers.load(path: folder + "/tokenizer.json")
    #expect(tokenizer.differences(lines) == [])
  }

  @Test func whisperGivesTheTokensOfTheTokenizersLibrary() throws {
    guard let folder = SharedData.path("tokenizers/whisper") else { return }
    let tokenizer = try Tokenizers.load(path: folder)
    // Its template puts two tokens in front, which no container of language models can say.
    #expect(tokenizer.differences(try ExpectedLine.load(folder + "/expected.jsonl"), special: false) == [])
  }

  @Test func tokenizerModelGivesTheTokensOfSentencePiece() throws {
    guard let folder = SharedData.path("tokenizers/mistral-v3-model-only") else { return }
    let tokenizer = try Tokenizers.load(path: folder)
    #expect(tokenizer.differences(try ExpectedLine.load(folder + "/expected.jsonl")) == [])
  }

  @Test func tokenizerModelAndTokenizerJSONAgree() throws {
    guard let folder = SharedData.path("tokenizers/mistral-7b") else { return }
    let tokenizer = try Tokenizers.load(path: folder + "/tokenizer.model")
    // SentencePiece leaves control tokens in text alone; the expected ids are those of the tokenizers library.
    let lines = try ExpectedLine.load(folder + "/expected.jsonl").filter { line in
      !["<s>", "</s>", "<unk>"].contains { line.text.contains($0) }
    }
    #expect(lines.count > 430)
    #expect(tokenizer.differences(lines) == [])
  }

  @Test func vocabularyAndMergesGiveTheTokensOfTokenizerJSON() throws {
    guard let source = SharedData.path("tokenizers/opt") else { return }
    let folder = TemporaryFolder()
    for name in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
      writeFile(folder.file(name), readFile(source + "/" + name))
    }
    let tokenizer = try Tokenizers.load(path: folder.path)
    // No file but tokenizer.json says that these two are special.
    let lines = try ExpectedLine.load(source + "/expected.jsonl").filter { line in
      !["<s>", "<unk>"].contains { line.text.contains($0) }
    }
    #expect(lines.count > 430)
    #expect(tokenizer.differences(lines) == [])
  }

  @Test(arguments: ["gpt2", "opt", "cl100k", "qwen2", "deepseek", "falcon", "phi-3", "mistral-7b"])
  func metadataOfGGUFKeepsTheTokenizer(name: String) throws {
    guard let folder = SharedData.path("tokenizers/\(name)") else { return }
    let original = try Tokenizers.load(path: folder + "/tokenizer.json")
    var metadata = KeyValues()
    for (key, value) in original.data.keyValues { metadata[key] = value }
    let data = try TokenizerData(ggufMetadata: metadata)
    #expect(data.keyValues.map { $0.0 } == original.data.keyValues.map { $0.0 })
    #expect(try Tokenizers.make(data).differences(try ExpectedLine.load(folder + "/expected.jsonl")) == [])
  }

  @Test(arguments: ["tiny-llama", "tiny-opt", "stories260k"])
  func tokenizersOfModelsLoadAndDecodeWhatTheyEncode(name: String) throws {
    guard let folder = SharedData.path("models/\(name)") else { return }
    let tokenizer = try Tokenizers.load(path: folder)
    let text = "Once upon a time, there were 3 \"cats\"\u{2026}\nThe end."
    let ids = tokenizer.encode(text)
    #expect(tokenizer.decode(ids) == text)
    #expect(ids.count < text.utf8.count)
  }
}
