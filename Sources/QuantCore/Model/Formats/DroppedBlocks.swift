/// Blocks that are taken out of a model, as a container has to know them when it edits its configuration.
public struct DroppedBlocks: Sendable {
  /// Their numbers, in order.
  public let numbers: [Int]
  /// Blocks of the whole model.
  public let count: Int

  public init(_ numbers: Set<Int>, of count: Int) {
    self.numbers = numbers.sorted()
    self.count = count
  }

  /// How many blocks stay.
  public var left: Int { count - numbers.count }

  /// The new number of a block, or nil for one that goes.
  public func number(_ block: Int) -> Int? { numbers.contains(block) ? nil : left(ofFirst: block) }

  /// How many of the first blocks stay.
  public func left(ofFirst number: Int) -> Int { number - numbers.count { $0 < number } }

  /// The values of the blocks that stay, of a list with a value for each block; any other list as it is.
  public func cut<Value>(_ values: [Value]) -> [Value] {
    values.count == count ? values.indices.filter { !numbers.contains($0) }.map { values[$0] } : values
  }

  /// That a configuration cannot be edited.
  public func notCounted(file: String, remedy: String) -> Failure {
    Failure(
      .unsupported, "blocks.configuration", "its configuration does not say in a known place that there are \(count) blocks", file: file,
      remedy: remedy)
  }
}

/// The blocks of a model as the names of its tensors number them.
public struct NumberedBlocks: Sendable {
  /// How many there are.
  public var count: Int
  /// The number of the block that a tensor belongs to, by its name; absent for those outside of blocks.
  public var tensors: [String: Int]

  public init(count: Int, tensors: [String: Int]) {
    self.count = count
    self.tensors = tensors
  }
}
