/// A prefix tree of byte strings with numbers, for walks from any place of a text.
struct ByteTrie: Sendable {
  /// Children of the root by byte; 0 if there is none.
  private var roots = [UInt32](repeating: 0, count: 256)
  /// Open addressing with linear probing: node and byte in the upper 40 bits, the child in the lower 24; 0 for a free slot.
  private var slots: [UInt64]
  private var used = 0
  /// The number at each node, or -1.
  private var numbers: [Int32] = [-1]
  private static let maximumNodes = 1 << 24

  /// - Parameter bytes: expected length of all strings together.
  init(expecting bytes: Int) {
    var count = 64
    while count < min(bytes, ByteTrie.maximumNodes) { count *= 2 }
    slots = [UInt64](repeating: 0, count: count)
  }

  static let root: UInt32 = 0

  /// Adds a string, or replaces its number.
  /// - Throws: `Failure` `tokenizer.token-length` if the strings together are too long.
  mutating func insert(_ string: some Sequence<UInt8>, _ number: Int32) throws(Failure) {
    var node = ByteTrie.root
    for byte in string {
      if let child = child(of: node, byte) {
        node = child
        continue
      }
      guard numbers.count < ByteTrie.maximumNodes else {
        throw Failure(.data, "tokenizer.token-length", "the tokens together have more than \(ByteTrie.maximumNodes) bytes")
      }
      let child = UInt32(numbers.count)
      numbers.append(-1)
      if node == ByteTrie.root { roots[Int(byte)] = child } else { insert(child, under: node, byte) }
      node = child
    }
    numbers[Int(node)] = number
  }

  private mutating func insert(_ child: UInt32, under node: UInt32, _ byte: UInt8) {
    if used * 3 > slots.count * 2 {
      let old = slots
      slots = [UInt64](repeating: 0, count: old.count * 2)
      for entry in old where entry != 0 { slots[freeSlot(for: entry >> 24)] = entry }
    }
    let key = UInt64(node) << 8 | UInt64(byte)
    slots[freeSlot(for: key)] = key << 24 | UInt64(child)
    used += 1
  }

  @inline(__always) private func firstSlot(of key: UInt64) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9e37_79b9_7f4a_7c15) >> 24) & (slots.count - 1)
  }

  private func freeSlot(for key: UInt64) -> Int {
    var slot = firstSlot(of: key)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    return slot
  }

  /// The node one byte further, or nil.
  @inline(__always) func child(of node: UInt32, _ byte: UInt8) -> UInt32? {
    if node == ByteTrie.root {
      let child = roots[Int(byte)]
      return child == 0 ? nil : child
    }
    let key = UInt64(node) << 8 | UInt64(byte)
    var slot = firstSlot(of: key)
    while slots[slot] != 0 {
      if slots[slot] >> 24 == key { return UInt32(truncatingIfNeeded: slots[slot] & 0xff_ffff) }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  /// The number of the string that ends at a node, or -1.
  @inline(__always) func number(at node: UInt32) -> Int32 { numbers[Int(node)] }

  /// The longest string that `bytes` has at `start` and before `end`: its number and where it ends.
  @inline(__always) func longest(in bytes: borrowing [UInt8], from start: Int, to end: Int, at node: UInt32 = root) -> (
    number: Int32, end: Int
  )? {
    var node = node
    var index = start
    var found: (Int32, Int)?
    while index < end, let child = child(of: node, bytes[index]) {
      node = child
      index += 1
      if numbers[Int(node)] >= 0 { found = (numbers[Int(node)], index) }
    }
    return found
  }
}
