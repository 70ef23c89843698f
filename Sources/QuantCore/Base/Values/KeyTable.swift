/// Finds duplicate keys in an object.
///
/// Keys are compared by their bytes: Swift's own comparison treats two spellings of one accented letter as equal, which no
/// other program does. Objects with a few members are searched; larger ones get an open hash table with a random seed, so
/// that nobody can prepare keys that collide.
struct KeyTable {
  /// Index of a member plus one, or 0 for a free slot. The size is a power of two, at least twice the number of members.
  private var slots: [Int32] = []
  private let seed = UInt64.random(in: .min ... .max)
  private static let smallObject = 8

  /// Whether `key` is one of `members`; otherwise it is recorded as the next member.
  mutating func contains(_ key: String, in members: [JSON.Member]) -> Bool {
    if members.count < KeyTable.smallObject { return members.contains { KeyTable.areSame($0.key, key) } }
    if slots.count < 2 * (members.count + 1) { grow(members) }
    var slot = start(key)
    while slots[slot] != 0 {
      if KeyTable.areSame(members[Int(slots[slot]) - 1].key, key) { return true }
      slot = (slot + 1) & (slots.count - 1)
    }
    slots[slot] = Int32(truncatingIfNeeded: members.count + 1)
    return false
  }

  private mutating func grow(_ members: [JSON.Member]) {
    slots = [Int32](repeating: 0, count: max(64, 4 * slots.count))
    for (index, member) in members.enumerated() {
      var slot = start(member.key)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(truncatingIfNeeded: index + 1)
    }
  }

  private func start(_ key: String) -> Int {
    var hash = seed
    for byte in key.utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x9e37_79b9_7f4a_7c15
      hash ^= hash >> 29
    }
    return Int(truncatingIfNeeded: hash >> 20) & (slots.count - 1)
  }

  private static func areSame(_ a: String, _ b: String) -> Bool {
    a.utf8.count == b.utf8.count && a.utf8.elementsEqual(b.utf8)
  }
}
