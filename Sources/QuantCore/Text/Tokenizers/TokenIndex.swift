/// Token texts by id and ids by text, compared by bytes.
///
/// A dictionary of `String` would not work: Swift treats two spellings of one accented letter as equal, and vocabularies
/// contain both.
struct TokenIndex: Sendable {
  /// All texts, one after another.
  private let text: [UInt8]
  /// Where each text starts, and where the last one ends.
  private let starts: [Int]
  /// Open addressing with linear probing: id + 1, or 0 for a free slot.
  private let slots: [UInt32]

  /// - Throws: `Failure` `tokenizer.duplicate-token` if two ids have the same text, `tokenizer.empty` without tokens.
  init(_ tokens: [String]) throws(Failure) {
    guard !tokens.isEmpty, tokens.count < Int(Int32.max) else {
      throw Failure(.data, "tokenizer.empty", "the tokenizer has \(tokens.count) tokens")
    }
    var text: [UInt8] = []
    var starts = [0]
    starts.reserveCapacity(tokens.count + 1)
    for token in tokens {
      text.append(contentsOf: token.utf8)
      starts.append(text.count)
    }
    var capacity = 16
    while capacity < tokens.count * 2 { capacity *= 2 }
    var slots = [UInt32](repeating: 0, count: capacity)
    for id in tokens.indices {
      let token = text[starts[id]..<starts[id + 1]]
      var slot = TokenIndex.hash(token) & (capacity - 1)
      while slots[slot] != 0 {
        let other = Int(slots[slot]) - 1
        if text[starts[other]..<starts[other + 1]].elementsEqual(token) {
          throw Failure(
            .data, "tokenizer.duplicate-token", "tokens \(other) and \(id) have the same text \(tokens[id].debugDescription)")
        }
        slot = (slot + 1) & (capacity - 1)
      }
      slots[slot] = UInt32(id) + 1
    }
    self.text = text
    self.starts = starts
    self.slots = slots
  }

  var count: Int { starts.count - 1 }

  /// The id of the token with exactly these bytes.
  func id(of bytes: ArraySlice<UInt8>) -> Int? {
    var slot = TokenIndex.hash(bytes) & (slots.count - 1)
    while slots[slot] != 0 {
      let id = Int(slots[slot]) - 1
      let start = starts[id]
      if starts[id + 1] - start == bytes.count, text[start..<start + bytes.count].elementsEqual(bytes) { return id }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  func id(of token: String) -> Int? { id(of: Array(token.utf8)[...]) }

  /// The bytes of a token, or nil if there is no such id.
  func bytes(of id: Int) -> ArraySlice<UInt8>? {
    guard id >= 0, id < count else { return nil }
    return text[starts[id]..<starts[id + 1]]
  }

  /// FNV-1a with a final mix.
  @inline(__always) private static func hash(_ bytes: ArraySlice<UInt8>) -> Int {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return Int(truncatingIfNeeded: (hash ^ hash >> 32) & 0x7fff_ffff)
  }
}
