import QuantCore
import TestSupport
import Testing

@testable import QuantText

/// WordPiece, unigram, tiktoken and Tekken files, on small vocabularies.
@Suite struct OtherKindsTests {
  private let folder = TemporaryFolder()

  private func write(_ name: String, _ text: String) { writeFile(folder.file(name), Array(text.utf8)) }

  private func failure(_ body: () throws -> any Tokenizer) -> String? {
    do {
      _ = try body()
      return nil
    } catch {
      return (error as? Failure)?.id ?? "not a failure: \(error)"
    }
  }

  // MARK: WordPiece

  private static let words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "wor", "##ld", ",", "Hello", "\u{4e2d}"]

  @Test func vocabularyOfWords() throws {
    write("vocab.txt", Self.words.joined(separator: "\n") + "\n")
    let tokenizer = try Tokenizers.load(path: folder.path)
    #expect(tokenizer.encode("Hello, W\u{d6}RLD!") == [5, 8, 6, 7, 1])
    #expect(tokenizer.encode("hello\u{4e2d}hello[MASK]") == [5, 10, 5, 4])
    #expect(tokenizer.encodeForModel("hello") == [2, 5, 3])
    #expect(tokenizer.encodeForModel("hello", addBOS: false) == [5, 3])
    #expect(tokenizer.decode([5, 8, 6, 7]) == "hello, world")
    #expect(tokenizer.encode(String(repeating: "wor", count: 40)) == [1])
    // A cased model.
    write("tokenizer_config.json", #"{"do_lower_case": false, "tokenizer_class": "BertTokenizer"}"#)
    #expect(try Tokenizers.load(path: folder.path).encode("Hello hello") == [9, 5])
    write("tokenizer_config.json", #"{"tokenizer_class": "BertJapaneseTokenizer"}"#)
    #expect(failure { try Tokenizers.load(path: folder.path) } == "tokenizer.unsupported")
  }

  @Test func wordsWithoutATokenForUnknownOnes() {
    write("vocab.txt", "a\nb\n")
    #expect(failure { try Tokenizers.load(path: folder.path) } == "tokenizer.unknown")
  }

  // MARK: Unigram

  private func unigram(_ vocabulary: String, normalizer: String = "null", pre: String = "null", more: String = "") -> String {
    #"{"normalizer": \#(normalizer), "pre_tokenizer": \#(pre), "model": {"type": "Unigram", "unk_id": 0, "vocab": \#(vocabulary)\#(more)}}"#
  }

  @Test func theBestSumOfScoresWins() throws {
    let vocabulary = #"[["<unk>", 0], ["\u2581", -2], ["a", -3], ["b", -3], ["ab", -5], ["\u2581a", -4.5], ["abb", -5.5]]"#
    let metaspace = #"{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true}"#
    write("tokenizer.json", unigram(vocabulary, pre: metaspace))
    let tokenizer = try Tokenizers.load(path: folder.path)
    #expect(tokenizer.encode("ab") == [1, 4])
    #expect(tokenizer.encode("abb a") == [1, 6, 5])
    #expect(tokenizer.encode("axxb") == [5, 0, 3])
    #expect(tokenizer.decode([1, 4, 5]) == " ab a")
  }

  @Test func unigramFilesThatAreMalformed() {
    func failure(_ text: String) -> String? {
      write("tokenizer.json", text)
      return self.failure { try Tokenizers.load(path: folder.path) }
    }
    #expect(failure(unigram(#"[["a"]]"#)) == "tokenizer.json")
    #expect(failure(unigram(#"[["a", "b"]]"#)) == "tokenizer.json")
    #expect(failure(unigram(#"[["a", 1e999]]"#)) != nil)
    #expect(failure(unigram(#"[["<unk>", 0], ["a", -1]]"#)) == nil)
    #expect(failure(#"{"model": {"type": "Unigram", "unk_id": 7, "vocab": [["a", 0]]}}"#) == "tokenizer.unknown")
    for map in ["!", "AAAA", "BAAAAAAAAAAA", "/////w==", "BAAAAAEAAAAB"] {
      let normalizer = #"{"type": "Precompiled", "precompiled_charsmap": "\#(map)"}"#
      let id = failure(unigram(#"[["<unk>", 0], ["a", -1]]"#, normalizer: normalizer))
      #expect(id == nil || id == "tokenizer.character-map", "\(map): \(id ?? "")")
      if id == nil { #expect((try? Tokenizers.load(path: folder.path))?.encode("a\u{1f600}e\u{301}\r\nb").isEmpty == false) }
    }
  }

  // MARK: Ranks

  private static let ranks = "YQ== 0\nYg== 1\nYWI= 2\nIA== 3\nYWJi 4\n"

  @Test func aTiktokenFileHasTheRulesOfItsModel() throws {
    write("qwen.tiktoken", Self.ranks)
    let tokenizer = try Tokenizers.load(path: folder.path)
    #expect(tokenizer.data.preTokenizer == "qwen2")
    #expect(tokenizer.encode("abab abb<|im_end|>") == [2, 2, 3, 4, 7])
    #expect(tokenizer.decode([2, 3, 4, 5]) == "ab abb<|endoftext|>")
    // The last token merges from the third by ranks.
    #expect(tokenizer.data.merges == ["a b", "ab b"])
    #expect(tokenizer.data.types[5...7].allSatisfy { $0 == .control })
  }

  @Test func aTiktokenFileOfAnUnknownModelNeedsAName() throws {
    write("tokenizer.model", Self.ranks)
    #expect(failure { try Tokenizers.load(path: folder.path) } == "tokenizer.pre-missing")
    #expect(try Tokenizers.load(path: folder.path, preTokenizer: "gpt-2").encode("ab") == [2])
    write("config.json", #"{"model_type": "kimi_k2"}"#)
    #expect(try Tokenizers.load(path: folder.path).data.preTokenizer == "kimi-k2")
  }

  @Test(arguments: [
    ("YQ== 0\nYg==\n", "tokenizer.tiktoken"), ("YQ== 0\nY 1\n", "tokenizer.tiktoken"), ("YQ== 0\nYg== 0\n", "tokenizer.rank"),
    ("YQ== 0\nYg== 99999999\n", "tokenizer.rank"), ("YQ== 0\nYg== -1\n", "tokenizer.rank"),
    ("YQ== 0\nYQ== 1\n", "tokenizer.duplicate-token"),
  ])
  func tiktokenFilesThatAreMalformed(text: String, id: String) {
    write("qwen.tiktoken", text)
    #expect(failure { try Tokenizers.load(path: folder.path) } == id)
  }

  private func tekken(vocabulary: String, specials: Int = 3) -> String {
    let pattern =
      "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]*[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]+"
      + "|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[\\\\p{Lu}\\\\p{Lt}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]+[\\\\p{Ll}\\\\p{Lm}\\\\p{Lo}\\\\p{M}]*"
      + "|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n/]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
    return
      #"{"config": {"pattern": "\#(pattern)", "default_vocab_size": 7, "default_num_special_tokens": \#(specials)}, "vocab": \#(vocabulary)}"#
  }

  @Test func aTekkenFileHasItsSpecialTokensFirst() throws {
    let entries = ["YQ==", "Yg==", "YWI=", "IA==", "eA=="].enumerated().map { #"{"rank": \#($0), "token_bytes": "\#($1)"}"# }
    write("tekken.json", tekken(vocabulary: "[" + entries.joined(separator: ",") + "]"))
    let tokenizer = try Tokenizers.load(path: folder.path)
    #expect(tokenizer.data.preTokenizer == "tekken")
    // The fifth token is beyond the model's vocabulary.
    #expect(tokenizer.data.tokens.count == 7)
    #expect(tokenizer.encodeForModel("ab b</s>") == [1, 5, 6, 4, 2])
    write("tekken.json", tekken(vocabulary: #"[{"rank": 0}]"#))
    #expect(failure { try Tokenizers.load(path: folder.path) } == "tokenizer.tekken")
    write("tekken.json", tekken(vocabulary: "[]", specials: -1))
    #expect(failure { try Tokenizers.load(path: folder.path) } == "tokenizer.tekken")
  }

  // MARK: End tokens

  @Test func generationEndsAtEveryTokenThatTheFilesName() throws {
    write("qwen.tiktoken", Self.ranks)
    write("generation_config.json", #"{"eos_token_id": [5, 7, 5, 999]}"#)
    write("config.json", #"{"model_type": "qwen", "eos_token_id": 0}"#)
    #expect(try Tokenizers.load(path: folder.path).data.endIDs == [0, 5, 7])
    var data = TokenizerData(kind: .byteLevelBPE, tokens: ["a", "</s>", "<|im_end|>", "<|eot_id|>", "<|call|>"])
    data.types = [.normal, .control, .control, .normal, .control]
    data.special = ["eos": 0, "eom": 3]
    #expect(data.endIDs == [0, 1, 2, 3, 4])
  }
}
