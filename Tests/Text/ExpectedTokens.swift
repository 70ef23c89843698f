import QuantCore
import TestSupport
import Testing

/// One line of `expected.jsonl`: what the reference library (tokenizers, or sentencepiece) returns for a text.
struct ExpectedLine: Sendable {
  var text: String
  var ids: [Int]
  var idsSpecial: [Int]
  var decoded: String

  init(_ json: JSON) throws {
    text = try #require(json["text"]?.stringValue)
    ids = ExpectedLine.ids(json["ids"])
    idsSpecial = ExpectedLine.ids(json["ids_special"])
    decoded = try #require(json["decoded"]?.stringValue)
  }

  static func load(_ path: String) throws -> [ExpectedLine] {
    try readFile(path).split(separator: UInt8(ascii: "\n")).map { try ExpectedLine(JSON.parse(ByteView(Array($0)))) }
  }

  private static func ids(_ json: JSON?) -> [Int] { (json?.arrayValue ?? []).compactMap { $0.intValue } }
}

extension Tokenizer {
  /// Texts whose ids or decoding differ from the expected ones.
  func differences(_ lines: [ExpectedLine], special: Bool = true, decoding: Bool = true) -> [String] {
    lines.compactMap { line in
      let ids = encode(line.text)
      if ids != line.ids { return "\(line.text.debugDescription): \(ids) instead of \(line.ids)" }
      if special, encodeForModel(line.text) != line.idsSpecial {
        return "\(line.text.debugDescription): \(encodeForModel(line.text)) instead of \(line.idsSpecial)"
      }
      // Bytes are compared, because strings treat composed and decomposed letters as equal.
      if decoding, Array(decode(line.ids).utf8) != Array(line.decoded.utf8) {
        return "\(line.text.debugDescription) decodes to \(decode(line.ids).debugDescription)"
      }
      return nil
    }
  }
}
