import QuantCore

/// The name of a shard: `model-00002-of-00003.safetensors`.
public struct ShardName: Sendable, Equatable {
  /// What stands before the numbers.
  public let prefix: String
  /// Counted from 1.
  public let number: Int
  /// How many there are.
  public let count: Int

  /// Nil where the name is not that of a shard.
  public init?(_ name: String) {
    let parts = Files.stem(of: name).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[parts.count - 2] == "of", let count = ShardName.number(parts[parts.count - 1]),
      let number = ShardName.number(parts[parts.count - 3]), number >= 1, number <= count
    else { return nil }
    self.number = number
    self.count = count
    prefix = parts.dropLast(3).joined(separator: "-")
  }

  private static func number(_ digits: Substring) -> Int? {
    digits.utf8.count == 5 && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? Int(digits) : nil
  }
}
