/// The section `normalizer`: what happens to text before it is split.
extension TokenizerJSON {
  mutating func readNormalizer(_ section: JSON) throws(Failure) {
    if section.isNull { return }
    switch TokenizerJSON.type(section) {
    case "Sequence": for part in section["normalizers"]?.arrayValue ?? [] { try readNormalizer(part) }
    case "NFC": normalizers.append(.nfc)
    case "NFD": normalizers.append(.nfd)
    case "Lowercase":
      normalizers.append(.lowercase)
      data.lowercases = true
    case "StripAccents":
      normalizers.append(.removeMarks(all: true))
      data.stripsAccents = true
    case "BertNormalizer":
      let lowercases = section["lowercase"]?.boolValue ?? true
      normalizers += Normalizer.bert(
        cleans: section["clean_text"]?.boolValue ?? true, spacesChinese: section["handle_chinese_chars"]?.boolValue ?? true,
        stripsAccents: section["strip_accents"]?.boolValue ?? lowercases, lowercases: lowercases)
      if let stated = section["lowercase"]?.boolValue { data.lowercases = stated }
      if let stated = section["strip_accents"]?.boolValue { data.stripsAccents = stated }
    case "Prepend": normalizers.append(.prepend(Array((section["prepend"]?.stringValue ?? "").utf8)))
    case "Replace":
      let new = Array((section["content"]?.stringValue ?? "").utf8)
      if let old = section["pattern"]?["String"]?.stringValue {
        normalizers.append(.replace(Array(old.utf8), new))
      } else {
        normalizers.append(.replaceMatches(try ExpressionParser.parse(section["pattern"]?["Regex"]?.stringValue ?? ""), new))
      }
    case "Strip":
      normalizers.append(.strip(start: section["strip_left"]?.boolValue ?? true, end: section["strip_right"]?.boolValue ?? true))
    case "Precompiled":
      data.characterMap = try TokenizerJSON.bytes(ofBase64: section["precompiled_charsmap"]?.stringValue ?? "")
      if !data.characterMap.isEmpty { normalizers.append(.map(try CharacterMap(data.characterMap), perCharacter: true)) }
    case let other: throw TokenizerJSON.unsupported("normalizer", other)
    }
    guard normalizers.reduce(1.0, { $0 * $1.largestGrowth }) <= TokenizerJSON.largestGrowth else {
      throw Failure(
        .data, "limit.normalizer",
        "its rules could make a text more than \(Int(TokenizerJSON.largestGrowth)) times longer; no known tokenizer does",
        remedy: "Check where this tokenizer.json comes from.")
    }
  }

  /// How much longer all rules together may make a text. Known tokenizers stay below ten.
  private static let largestGrowth = 1000.0

  private static func bytes(ofBase64 text: String) throws(Failure) -> [UInt8] {
    guard let bytes = Base64.bytes(of: text.utf8) else {
      throw Failure(.data, "tokenizer.character-map", "the map of characters is not Base64")
    }
    return bytes
  }
}
