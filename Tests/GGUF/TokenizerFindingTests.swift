import QuantCore
import Testing

@testable import GGUF

/// Tokenizers with which llama.cpp does not load a file, or aborts.
@Suite struct TokenizerFindingTests {
  private func ids(_ model: String, _ tokens: [String], merges: [String]? = nil) -> [String] {
    var metadata = KeyValues()
    metadata["tokenizer.ggml.model"] = .string(model)
    metadata["tokenizer.ggml.tokens"] = .strings(tokens)
    if let merges { metadata["tokenizer.ggml.merges"] = .strings(merges) }
    return GGUFTokenizerFindings.all(metadata).map(\.id)
  }

  private let bytes = (0..<256).map { byte in
    let digits = String(byte, radix: 16, uppercase: true)
    return "<0x" + (byte < 16 ? "0" : "") + digits + ">"
  }

  @Test func mergesOfByteLevelTokenizers() {
    #expect(ids("gpt2", ["a", "b", "ab"], merges: ["a b"]).isEmpty)
    #expect(ids("gpt2", ["a", "b"]) == ["tokenizer.merges-missing"])
    #expect(ids("gpt2", ["a", "b"], merges: []) == ["tokenizer.merges-missing"])
  }

  @Test func bytesOfSentencePiece() {
    #expect(ids("llama", bytes + ["a"]).isEmpty)
    #expect(ids("llama", bytes.dropLast() + ["a"]) == ["tokenizer.bytes-missing"])
    #expect(ids("t5", ["a"]).isEmpty)
  }

  @Test func aTextTwice() {
    #expect(ids("t5", ["a", "b", "a"]) == ["tokenizer.duplicate-token"])
    #expect(ids("t5", ["a", "", ""]).isEmpty)
    // Two spellings of one letter are two tokens.
    #expect(ids("t5", ["\u{e9}", "e\u{301}"]).isEmpty)
  }
}
