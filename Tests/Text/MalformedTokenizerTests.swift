import QuantCore
import TestSupport
import Testing

/// Tokenizers that contradict themselves cause a failure that names the problem.
@Suite struct MalformedTokenizerTests {
  private let folder = TemporaryFolder()

  private func failure(of text: String) -> String? {
    writeFile(folder.file("tokenizer.json"), Array(text.utf8))
    return failure { try Tokenizers.load(path: folder.path) }
  }

  private func failure(_ body: () throws -> any Tokenizer) -> String? {
    do {
      _ = try body()
      return nil
    } catch {
      return (error as? Failure)?.id ?? "not a failure: \(error)"
    }
  }

  private func file(
    vocabulary: String = #"{"a": 0, "b": 1, "ab": 2}"#, merges: String = #"["a b"]"#,
    added: String = "[]", preTokenizer: String = #"{"type": "ByteLevel"}"#
  ) -> String {
    let model = #"{"type": "BPE", "vocab": \#(vocabulary), "merges": \#(merges)}"#
    return #"{"added_tokens": \#(added), "pre_tokenizer": \#(preTokenizer), "model": \#(model)}"#
  }

  @Test func theIntactFileLoads() { #expect(failure(of: file()) == nil) }

  @Test(arguments: [
    ("{}", "tokenizer.json"), ("[]", "tokenizer.json"), (#"{"model": {"vocab": []}}"#, "tokenizer.empty"),
    (#"{"model": {"type": "BPE", "vocab": {"a": 0}}}"#, "tokenizer.merges"),
    (#"{"model": {"type": "Unigram", "vocab": {}}}"#, "tokenizer.json"),
    (#"{"model": {"type": "BPE", "vocab": {}, "merges": []}}"#, "tokenizer.empty"),
  ])
  func sectionsThatAreMissing(text: String, id: String) { #expect(failure(of: text) == id) }

  @Test func idsOutOfRange() {
    #expect(failure(of: file(vocabulary: #"{"a": -1}"#, merges: "[]")) == "tokenizer.id")
    #expect(failure(of: file(vocabulary: #"{"a": 4611686018427387904}"#, merges: "[]")) == "tokenizer.id")
    #expect(failure(of: file(vocabulary: #"{"a": 1.5}"#, merges: "[]")) == "tokenizer.id")
    #expect(failure(of: file(vocabulary: #"{"a": 0, "b": 0}"#, merges: "[]")) == "tokenizer.id")
    #expect(failure(of: file(added: #"[{"id": 99999999999, "content": "x"}]"#)) == "tokenizer.id")
    #expect(failure(of: file(added: #"[{"id": 3}]"#)) == "tokenizer.id")
  }

  @Test func duplicateTokens() {
    #expect(failure(of: file(vocabulary: #"{"a": 0, "a": 1}"#)) == "json.duplicate-key")
  }

  @Test func mergesOfUnknownTokens() {
    #expect(failure(of: file(merges: #"["a c"]"#)) == "tokenizer.merge")
    #expect(failure(of: file(merges: #"["b a"]"#)) == "tokenizer.merge")
    #expect(failure(of: file(merges: #"["a"]"#)) == "tokenizer.merge")
    #expect(failure(of: file(merges: "[3]")) == "tokenizer.merge")
    #expect(failure(of: file(merges: #"[["a", "b", "c"]]"#)) == "tokenizer.merge")
  }

  /// Each rule doubles a text; together they would fill any memory.
  @Test func rulesThatMakeATextEndlessly() {
    func normalizer(_ count: Int, _ content: String) -> String {
      let rule = #"{"type": "Replace", "pattern": {"String": "a"}, "content": "\#(content)"}"#
      let rules = Array(repeating: rule, count: count).joined(separator: ", ")
      return file().dropLast() + #", "normalizer": {"type": "Sequence", "normalizers": [\#(rules)]}}"#
    }
    #expect(failure(of: normalizer(26, "aa")) == "limit.normalizer")
    #expect(failure(of: normalizer(26, "b")) == nil)
    #expect(failure(of: normalizer(2, "▁")) == nil)
  }

  @Test func stepsThatAreNotKnown() throws {
    let split = #"{"type": "Split", "pattern": {"Regex": "(?<x>[xyz]+)"}, "behavior": "Isolated"}"#
    let text = file(preTokenizer: #"{"type": "Sequence", "pretokenizers": [\#(split), {"type": "ByteLevel", "use_regex": false}]}"#)
    #expect(failure(of: text) == "tokenizer.pattern")
    // The user can name the equivalent pre-tokenizer.
    let tokenizer = try Tokenizers.load(path: folder.path, preTokenizer: "gpt-2")
    #expect(tokenizer.data.preTokenizer == "gpt-2")
    #expect(failure { try Tokenizers.load(path: folder.path, preTokenizer: "nonsense") } == "tokenizer.pre")
    #expect(failure(of: file(preTokenizer: #"{"type": "UnicodeScripts"}"#)) == "tokenizer.unsupported")
  }

  @Test func aFolderWithoutATokenizer() {
    #expect(failure { try Tokenizers.load(path: TemporaryFolder().path) } != nil)
    #expect(failure { try Tokenizers.load(path: folder.path + "/none.json") } == "input.missing")
  }

  @Test func cutsOfATokenizerModelFail() throws {
    let bytes = readFile(SharedData.fixture("tokenizers/sentencepiece/tokenizer.model"))
    var sound: [Int] = []
    for length in stride(from: 0, to: bytes.count, by: 7) {
      writeFile(folder.file("tokenizer.model"), Array(bytes[..<length]))
      // A cut between two pieces leaves a model without its trainer's settings, which then counts as a unigram model.
      guard let id = failure({ try Tokenizers.load(path: folder.file("tokenizer.model")) }) else {
        sound.append(length)
        continue
      }
      #expect(id == "tokenizer.protobuf" || id == "tokenizer.model-type", "\(length) bytes")
    }
    // Only after those settings can a cut go unnoticed: the format does not store its total length.
    #expect(sound.count <= 2 && sound.allSatisfy { $0 > bytes.count - 100 }, "\(sound) of \(bytes.count)")
  }

  @Test func everyFlippedByteOfATokenizerModelFailsOrLoads() throws {
    let bytes = readFile(SharedData.fixture("tokenizers/sentencepiece/tokenizer.model"))
    for index in stride(from: 0, to: bytes.count, by: 11) {
      var damaged = bytes
      damaged[index] ^= 0xff
      writeFile(folder.file("tokenizer.model"), damaged)
      let id = failure {
        let tokenizer = try Tokenizers.load(path: folder.file("tokenizer.model"))
        _ = tokenizer.decode(tokenizer.encode("Once upon a time \u{1f600}"))
        return tokenizer
      }
      #expect(id == nil || id?.hasPrefix("tokenizer.") == true)
    }
  }

  @Test func storedDataIsChecked() {
    var data = TokenizerData(kind: .sentencePieceBPE, tokens: ["a", "b"])
    #expect(failure { try Tokenizers.make(data) } == "tokenizer.scores")
    data.scores = [0, .nan]
    #expect(failure { try Tokenizers.make(data) } == "tokenizer.scores")
    data.scores = [0, 0]
    data.types = [.normal]
    #expect(failure { try Tokenizers.make(data) } == "tokenizer.types")
    data.types = [.normal, .normal]
    data.special["bos"] = 2
    #expect(failure { try Tokenizers.make(data) } == "tokenizer.special-id")
    data.special = [:]
    #expect(failure { try Tokenizers.make(data) } == nil)
    data.kind = .byteLevelBPE
    #expect(failure { try Tokenizers.make(data) } == "tokenizer.pre")
    data.preTokenizer = "gpt-2"
    data.merges = ["a"]
    #expect(failure { try Tokenizers.make(data) } == "tokenizer.merge")
  }

  @Test func idsWithoutATokenDecodeToNothing() throws {
    writeFile(folder.file("tokenizer.json"), Array(file().utf8))
    let tokenizer = try Tokenizers.load(path: folder.path)
    #expect(tokenizer.decode([-1, 3, .max, 2]) == "ab")
    #expect(tokenizer.bytes(of: .min) == [])
  }
}

/// Oddities of tokenizer files that change ids without a word, with the ids of the tokenizers library and of transformers.
@Suite struct OddTokenizerTests {
  private let folder = TemporaryFolder()

  private func load(_ json: String, configuration: String? = nil, preTokenizer: String? = nil) throws -> any Tokenizer {
    writeFile(folder.file("tokenizer.json"), Array(json.utf8))
    if let configuration { writeFile(folder.file("tokenizer_config.json"), Array(configuration.utf8)) }
    return try Tokenizers.load(path: folder.path, preTokenizer: preTokenizer)
  }

  private func file(
    merges: String = #"["a b"]"#, added: String = "[]", preTokenizer: String = #"{"type": "ByteLevel"}"#, normalizer: String = "null"
  ) -> String {
    let model = #"{"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3}, "merges": \#(merges)}"#
    return #"{"added_tokens": \#(added), "normalizer": \#(normalizer), "pre_tokenizer": \#(preTokenizer), "model": \#(model)}"#
  }

  @Test func aLineWithTheVersionIsNoMerge() throws {
    #expect(try load(file(merges: ##"["#version: 0.2", "a b"]"##)).encode("ab") == [2])
  }

  @Test func anAddedTokenThatIsATokenKeepsItsID() throws {
    let tokenizer = try load(file(added: #"[{"id": 7, "content": "a"}, {"id": 4, "content": "x"}, {"id": 5, "content": "x"}]"#))
    #expect(tokenizer.encode("ax") == [0, 4])
    #expect(tokenizer.data.tokens.count == 5)
  }

  @Test func anEmptyAddedTokenIsSkipped() throws {
    #expect(try load(file(added: #"[{"id": 4, "content": ""}]"#)).data.tokens.count == 4)
  }

  @Test func tokensThatOnlyTheConfigurationAddsGetTheNextIDs() throws {
    let configuration = #"{"added_tokens_decoder": {"9": {"content": "<x>", "special": true}, "12": {"content": "ab"}}}"#
    let tokenizer = try load(file(), configuration: configuration)
    #expect(tokenizer.encode("<x>ab") == [4, 2])
    #expect(tokenizer.data.types[4] == .control)
  }

  @Test func whatANameCannotSayHasNone() throws {
    #expect(try load(file()).data.preTokenizer == "gpt-2")
    let spaced = #"{"type": "ByteLevel", "add_prefix_space": true}"#
    #expect(try load(file(preTokenizer: spaced)).data.preTokenizer == nil)
    #expect(try load(file(preTokenizer: spaced)).encode("ab") == [3, 2])
    #expect(try load(file(preTokenizer: spaced), preTokenizer: "gpt-2").data.preTokenizer == "gpt-2")
    #expect(try load(file(normalizer: #"{"type": "Lowercase"}"#)).data.preTokenizer == nil)
    #expect(try load(file(normalizer: #"{"type": "NFC"}"#)).data.preTokenizer == "gpt-2")
  }
}
