/// One step of what a tokenizer does to text before it splits it into tokens (`normalizer` in tokenizer.json).
enum Normalizer: Sendable, Equatable {
  /// Unicode normalization form C.
  case nfc
  /// Unicode normalization form D: letters and their accents apart.
  case nfd
  /// Removes NUL, U+FFFD and characters of category C, and makes every white space a space, as BERT's models expect.
  case cleanText
  /// Puts spaces around Chinese characters, so that each is a word.
  case spaceChinese
  /// Removes combining marks: `all` of category M, or only Mn.
  case removeMarks(all: Bool)
  /// Makes letters lower case, one by one: no rule depends on the letters around.
  case lowercase
  /// Adds a prefix to text that is not empty.
  case prepend([UInt8])
  /// Replaces every occurrence of some bytes by others.
  case replace([UInt8], [UInt8])
  /// Replaces every match of a regular expression.
  case replaceMatches(Expression, [UInt8])
  /// Removes white space at the start or at the end.
  case strip(start: Bool, end: Bool)
  /// SentencePiece's map of characters; `perCharacter`: as the tokenizers library applies it.
  case map(CharacterMap, perCharacter: Bool)
  /// Reduces runs of spaces to one and removes spaces at the ends (SentencePiece's `remove_extra_whitespaces`).
  case squeezeSpaces

  func apply(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .nfc: return Normalization.nfc(text)
    case .nfd: return Normalization.nfd(text)
    case .cleanText: return CharacterNormalization.cleaned(text)
    case .spaceChinese: return CharacterNormalization.chineseSpaced(text)
    case .removeMarks(let all): return CharacterNormalization.withoutMarks(text, all: all)
    case .lowercase: return CharacterNormalization.lowercased(text)
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .replace(let old, let new): return Normalizer.replace(old, with: new, in: text)
    case .replaceMatches(let expression, let new): return Normalizer.replace(expression, with: new, in: text)
    case .strip(let start, let end): return CharacterNormalization.stripped(text, start: start, end: end)
    case .map(let map, let perCharacter): return perCharacter ? map.appliedPerCharacter(text) : map.applied(text)
    case .squeezeSpaces:
      var result: [UInt8] = []
      for byte in text where byte != 0x20 || (!result.isEmpty && result.last != 0x20) { result.append(byte) }
      if result.last == 0x20 { result.removeLast() }
      return result
    }
  }

  /// How many times longer a replacement can make a text; 1 for the other steps, whose growth is small and fixed.
  var largestGrowth: Double {
    switch self {
    case .replace(let old, let new): max(1, Double(new.count) / Double(max(1, old.count)))
    case .replaceMatches(_, let new): max(1, Double(new.count))
    default: 1
    }
  }

  /// What BERT's tokenizers do to a text, in their order.
  static func bert(cleans: Bool = true, spacesChinese: Bool = true, stripsAccents: Bool, lowercases: Bool) -> [Normalizer] {
    (cleans ? [.cleanText] : []) + (spacesChinese ? [.spaceChinese] : []) + (stripsAccents ? [.nfd, .removeMarks(all: false)] : [])
      + (lowercases ? [.lowercase] : [])
  }

  private static func replace(_ expression: Expression, with new: [UInt8], in bytes: [UInt8]) -> [UInt8] {
    let text = ScalarText(bytes)
    let count = text.scalars.count
    var scratch = Expression.Scratch(of: expression, 0..<count)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = 0
    while index < count {
      if let end = expression.match(text, at: index, &scratch), end > index {
        result.append(contentsOf: new)
        index = end
      } else {
        result.append(contentsOf: bytes[text.starts[index]..<text.starts[index + 1]])
        index += 1
      }
    }
    return result
  }

  static func replace(_ old: [UInt8], with new: [UInt8], in text: [UInt8]) -> [UInt8] {
    guard let first = old.first, text.contains(first) else { return text }
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var index = 0
    while index < text.count {
      if text[index] == first, text.count - index >= old.count, text[index..<index + old.count].elementsEqual(old) {
        result.append(contentsOf: new)
        index += old.count
      } else {
        result.append(text[index])
        index += 1
      }
    }
    return result
  }
}

extension [Normalizer] {
  func apply(_ text: [UInt8]) -> [UInt8] { reduce(text) { $1.apply($0) } }
}
