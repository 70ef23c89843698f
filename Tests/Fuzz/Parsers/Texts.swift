import QuantCore

@testable import HuggingFace
@testable import QConvertKit
@testable import QuantConversion
@testable import QuantText

/// Texts: JSON, YAML, tokenizers, patterns, and the journal of a run.
extension Parsers {
  static let json: Parser = { bytes in
    for options in [JSON.ParseOptions.strict, .config] {
      guard let value = try? JSON.parse(ByteView(bytes), options) else { continue }
      // What is written is read again as the same value.
      let text = value.text()
      guard let again = try? JSON.parse(ByteView(Array(text.utf8)), options), again.text() == text else { fatalError("written as \(text)") }
    }
  }

  static let tokenizerJSON: Parser = { bytes in
    guard let root = try? JSON.parse(ByteView(bytes)), let file = try? TokenizerJSON(root) else { return }
    Texts.encode(try? file.tokenizer())
  }

  static let sentencePiece: Parser = { bytes in
    InputFile.use(bytes, name: "tokenizer.model") { path in Texts.encode(try? Tokenizers.load(path: path)) }
  }

  static let tiktoken: Parser = { bytes in
    guard let files = try? ConfigurationFiles(nil),
      let ranked = try? RankedFiles.tiktoken(bytes, files, file: "qwen.tiktoken", preTokenizer: nil)
    else { return }
    Texts.encode(try? ranked.tokenizer { _ in })
  }

  static let tekken: Parser = { bytes in
    guard let root = try? JSON.parse(ByteView(bytes)), let ranked = try? RankedFiles.tekken(root, preTokenizer: "tekken") else { return }
    Texts.encode(try? ranked.tokenizer { _ in })
  }

  /// A pattern, a line feed, and names.
  static let expression: Parser = { bytes in
    let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 1)
    guard let source = parts.first, let pattern = NamePattern(String(source)) else { return }
    let name = parts.count > 1 ? String(parts[1]) : "model.layers.0.self_attn.q_proj"
    let found = pattern.isFound(in: name)
    if pattern.matches(name), !found { fatalError("matches where it is not found") }
    let text = ScalarText(Array(name.utf8))
    guard let expression = try? ExpressionParser.parse(String(source)) else { return }
    var pieces: [Range<Int>] = []
    expression.split(text, 0..<text.scalars.count, .isolated, isInverted: false, into: &pieces)
    let covered = pieces.reduce(0) { $0 + $1.count }
    if covered != text.scalars.count { fatalError("cuts \(text.scalars.count) characters into \(pieces)") }
  }

  static let recipe: Parser = { bytes in
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    var recipe = Recipe()
    try? RecipeFile.read(text: text, into: &recipe)
  }

  static let modelCard: Parser = { bytes in
    InputFile.use(bytes, name: "README.md") { path in _ = ModelCard.keyValues(folder: Files.folder(of: path)) }
  }

  /// Lines whose hashes are right: the fuzzer would never find one.
  static let journal: Parser = { bytes in
    var lines: [UInt8] = []
    for line in bytes.split(separator: 0x0a) { lines += Journal.line(String(decoding: line, as: UTF8.self)) }
    guard let contents = try? Journal.parse(lines, of: "work") else { return }
    _ = contents.hashes([[0], [1, 2], []])
    _ = try? contents.identity.check(earlier: contents.identity, target: "out")
  }
}

/// What is done with a tokenizer that could be made.
enum Texts {
  private static let text = "Once upon a time, 12345 don't\n\n  <s> é中文 \u{1f600}\t x"

  static func encode(_ tokenizer: (any Tokenizer)?) {
    guard let tokenizer else { return }
    let ids = tokenizer.encodeForModel(text)
    _ = tokenizer.decode(ids)
    for id in ids { _ = tokenizer.bytes(of: id) }
    _ = try? tokenizer.data.tokenizerJSON()
  }
}
