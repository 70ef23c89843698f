/// Blocks that are dropped from a model, as a format needs to know them when it edits the configuration.
public struct DroppedBlocks: Sendable {
  /// Their numbers, in order.
  public let numbers: [Int]
  /// Number of blocks before any are dropped.
  public let count: Int

  public init(_ numbers: Set<Int>, of count: Int) {
    self.numbers = numbers.sorted()
    self.count = count
  }

  /// How many blocks remain.
  public var left: Int { count - numbers.count }

  /// The new number of a block, or nil for a dropped block.
  public func number(_ block: Int) -> Int? { numbers.contains(block) ? nil : left(ofFirst: block) }

  /// How many of the first `number` blocks remain.
  public func left(ofFirst number: Int) -> Int { number - numbers.count { $0 < number } }

  /// A list with a value for each block, without those of dropped blocks; any other list as it is.
  public func cut<Value>(_ values: [Value]) -> [Value] {
    values.count == count ? values.indices.filter { !numbers.contains($0) }.map { values[$0] } : values
  }

  /// The error for a configuration that cannot be edited.
  public func notCounted(file: String, remedy: Remedy) -> Failure {
    Failure(
      .unsupported, "blocks.configuration", "no known key of the configuration says that there are \(count) blocks", file: file,
      remedy: remedy)
  }
}

/// The blocks of a model according to the names of its tensors.
public struct NumberedBlocks: Sendable {
  /// How many there are.
  public var count: Int
  /// The number of the block that each tensor belongs to, by the tensor's name; tensors outside of blocks are absent.
  public var tensors: [String: Int]

  public init(count: Int, tensors: [String: Int]) {
    self.count = count
    self.tensors = tensors
  }
}
