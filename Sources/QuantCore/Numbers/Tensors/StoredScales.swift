/// Scales of a matrix as a format stores them, one for each row and group.
public struct StoredScales: Sendable {
  private let numbers: StoredNumbers
  private let rowStride: Int
  private let groupStride: Int

  /// - Parameters:
  ///   - rowStride: distance between the scales of two rows, in scales; 0 if all rows share them.
  ///   - groupStride: distance between the scales of two groups.
  /// - Returns: nil if the tensor's type is not one for scales, or a scale would be outside it.
  public init?(_ tensor: CheckpointTensor, rows: Int, groups: Int, rowStride: Int, groupStride: Int) {
    guard let numbers = StoredNumbers(tensor), rows > 0, groups > 0, rowStride >= 0, groupStride >= 0,
      let down = Checked.product(rows - 1, rowStride), let across = Checked.product(groups - 1, groupStride),
      let last = Checked.sum(down, across), last < numbers.count
    else { return nil }
    self.numbers = numbers
    self.rowStride = rowStride
    self.groupStride = groupStride
  }

  /// `f16`, `bf16` or `f32`.
  public var type: ElementType { numbers.type }

  /// - Precondition: row and group are within the matrix.
  public func value(row: Int, group: Int) -> Float { numbers[row * rowStride + group * groupStride] }
}
