import QuantCore
import QuantPlatform

/// What libFuzzer calls: it makes inputs from a corpus, keeps those that reach code that no other reached, and stops at a trap, a time-out
/// or too much memory. `QCONVERT_PARSER` names the parser that gets them; every binary holds all, because linking takes longer than
/// the rest.
@_cdecl("LLVMFuzzerInitialize")
func initialize(_ count: UnsafeMutableRawPointer, _ arguments: UnsafeMutableRawPointer) -> CInt {
  // Known before the first input: a wrong name would find nothing for ever.
  _ = Chosen.parser
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  Chosen.parser(Array(UnsafeBufferPointer(start: data, count: count)))
  return 0
}

private enum Chosen {
  static let parser: Parser = {
    let name = getenv("QCONVERT_PARSER").map { String(cString: $0) } ?? ""
    guard let parser = parsers[name] else {
      print("QCONVERT_PARSER is '\(name)'; it must be one of \(parsers.keys.sorted().joined(separator: ", "))")
      exit(64)
    }
    return parser
  }()
}

/// Reads bytes, and uses what it read as the program would. Throws nothing: a refusal is one of the right answers.
typealias Parser = @Sendable ([UInt8]) -> Void

/// All parsers of bytes that come from outside, by name. Each has a corpus in `Tests/Fuzz/Corpus`.
let parsers: [String: Parser] = [
  "expression": Parsers.expression, "gguf": Parsers.gguf, "imatrix-dat": Parsers.legacyImportance, "imatrix-gguf": Parsers.importance,
  "journal": Parsers.journal, "json": Parsers.json, "model-card": Parsers.modelCard, "pickle": Parsers.pickle, "recipe": Parsers.recipe,
  "safetensors": Parsers.safetensors, "sentencepiece": Parsers.sentencePiece, "statistics": Parsers.statistics, "tekken": Parsers.tekken,
  "tiktoken": Parsers.tiktoken, "tokenizer-json": Parsers.tokenizerJSON, "zip": Parsers.zip,
]

enum Parsers {}
