import QuantCore
import TestSupport
import Testing

/// The time for long texts and long words is proportional to their length.
@Suite(.serialized) struct TokenizerSpeedTests {
  /// Megabytes per second.
  private func speed(_ tokenizer: any Tokenizer, _ text: String) -> Double {
    let start = ContinuousClock.now
    let ids = tokenizer.encode(text)
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    #expect(!ids.isEmpty)
    return Double(text.utf8.count) / seconds / 1e6
  }

  @Test(arguments: ["models/tiny-llama", "tokenizers/sentencepiece"]) func longWordsAreNotQuadratic(name: String) throws {
    try checkSpeed(name, in: SharedData.fixture(name))
  }

  @Test(.enabled(if: SharedData.has("tokenizers"), "needs ../shared/tokenizers"), arguments: ["gpt2", "cl100k", "qwen2", "mistral-7b"])
  func longWordsAreNotQuadraticInLargeVocabularies(name: String) throws { try checkSpeed(name, in: SharedData.path("tokenizers/\(name)")) }

  private func checkSpeed(_ name: String, in folder: String) throws {
    let tokenizer = try Tokenizers.load(path: folder)
    let word = String(repeating: "abcdefghijklmnopqrstuvwxyz", count: 20_000)
    _ = tokenizer.encode("warm up")
    // A quadratic algorithm would take minutes.
    #expect(speed(tokenizer, word) > 0.005)
    let prose = String(decoding: readFile(#filePath), as: UTF8.self)
    let repeated = String(repeating: prose, count: 300)
    print("\(name): \(speed(tokenizer, repeated)) MB/s on prose, \(speed(tokenizer, word)) MB/s on one long word")
  }
}
