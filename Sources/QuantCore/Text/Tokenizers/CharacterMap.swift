/// SentencePiece's precompiled map of characters: a tree of texts (a double array, as the Darts library stores it), and what replaces each.
struct CharacterMap: Sendable, Equatable {
  /// As models store it.
  let bytes: [UInt8]
  private let units: [UInt32]
  private let replacements: [UInt8]
  /// Whether an ASCII character is the start of anything that is replaced.
  private var startsMatch = [Bool](repeating: false, count: 256)

  static func == (a: CharacterMap, b: CharacterMap) -> Bool { a.bytes == b.bytes }

  /// Length of the longest replacement that is accepted, in bytes. NFKC makes at most eighteen characters of one.
  private static let longestReplacement = 1000

  /// - Throws: `Failure` `tokenizer.character-map` if the bytes are not such a map, `limit.normalizer` if it makes texts much longer.
  init(_ bytes: [UInt8]) throws(Failure) {
    func number(at offset: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) } }
    let size = bytes.count >= 4 ? Int(number(at: 0)) : .max
    guard size % 4 == 0, size > 0, size <= bytes.count - 4, bytes.last == 0 else {
      throw Failure(.data, "tokenizer.character-map", "the map of characters is malformed")
    }
    self.bytes = bytes
    units = (0..<size / 4).map { number(at: 4 + 4 * $0) }
    replacements = Array(bytes[(4 + size)...])
    guard replacements.split(separator: 0).allSatisfy({ $0.count <= CharacterMap.longestReplacement }) else {
      throw Failure(
        .data, "limit.normalizer", "the map of characters replaces one by more than \(CharacterMap.longestReplacement) bytes",
        remedy: "Check where this tokenizer comes from.")
    }
    for byte in 1..<256 { startsMatch[byte] = step(from: CharacterMap.base(units[0]), UInt8(byte)) != nil }
  }

  private static func base(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & (1 << 9)) >> 6)) }

  /// The place after one more byte and, if a text ends there, where its replacement begins.
  private func step(from place: Int, _ byte: UInt8) -> (place: Int, replacement: Int?)? {
    let child = place ^ Int(byte)
    guard units.indices.contains(child), units[child] & (1 << 31 | 0xff) == UInt32(byte) else { return nil }
    let next = child ^ CharacterMap.base(units[child])
    guard units[child] >> 8 & 1 != 0 else { return (next, nil) }
    guard units.indices.contains(next) else { return nil }
    return (next, Int(units[next] & 0x7fff_ffff))
  }

  /// The longest (or shortest) text of the map at `start`: its length and where its replacement begins.
  private func match(_ text: [UInt8], _ range: Range<Int>, shortest: Bool = false) -> (length: Int, replacement: Int)? {
    var place = CharacterMap.base(units[0])
    var found: (Int, Int)?
    for index in range {
      guard text[index] != 0, let next = step(from: place, text[index]) else { break }
      place = next.place
      if let replacement = next.replacement {
        found = (index + 1 - range.lowerBound, replacement)
        if shortest { break }
      }
    }
    return found
  }

  private func append(_ replacement: Int, to result: inout [UInt8]) {
    var index = replacement
    while index < replacements.count, replacements[index] != 0 {
      result.append(replacements[index])
      index += 1
    }
  }

  /// The text as SentencePiece normalizes it: at each place the longest match is replaced.
  func applied(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var index = 0
    while index < text.count {
      if startsMatch[Int(text[index])], let (length, replacement) = match(text, index..<text.count) {
        append(replacement, to: &result)
        index += length
      } else {
        let (_, length) = ScalarText.scalar(in: text, at: index)
        result.append(contentsOf: text[index..<index + length])
        index += length
      }
    }
    return result
  }

  /// The text as the tokenizers library normalizes it: a character with its marks is replaced as a whole if it has fewer than six bytes and
  /// begins with a text of the map, otherwise each scalar is.
  func appliedPerCharacter(_ text: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(text.count + text.count / 4)
    var index = 0
    while index < text.count {
      // Two ASCII characters belong together only as a line end.
      if text[index] < 0x80, index + 1 == text.count || (text[index + 1] < 0x80 && text[index] != 0x0d) {
        if startsMatch[Int(text[index])], let (_, replacement) = match(text, index..<index + 1, shortest: true) {
          append(replacement, to: &result)
        } else {
          result.append(text[index])
        }
        index += 1
        continue
      }
      // Up to where the next two ASCII characters follow each other.
      var end = index + 1
      while end < text.count, !(text[end] < 0x80 && text[end - 1] < 0x80) { end += 1 }
      for character in String(decoding: text[index..<end], as: UTF8.self) {
        let length = character.utf8.count
        appendCharacter(text, index..<index + length, to: &result)
        index += length
      }
    }
    return result
  }

  private func appendCharacter(_ text: [UInt8], _ range: Range<Int>, to result: inout [UInt8]) {
    if range.count < 6, startsMatch[Int(text[range.lowerBound])], let (_, replacement) = match(text, range, shortest: true) {
      return append(replacement, to: &result)
    }
    var index = range.lowerBound
    while index < range.upperBound {
      let (_, length) = ScalarText.scalar(in: text, at: index)
      if startsMatch[Int(text[index])], let (_, replacement) = match(text, index..<index + length, shortest: true) {
        append(replacement, to: &result)
      } else {
        result.append(contentsOf: text[index..<index + length])
      }
      index += length
    }
  }
}
