extension TensorWriter {
  /// The error for a weight that is not finite.
  /// - Parameters:
  ///   - index: among all weights of the tensor.
  ///   - columns: length of its rows.
  static func nonfinite(_ value: Float, index: Int, columns: Int, tensor: String, file: String) -> Failure {
    let (row, column) = index.quotientAndRemainder(dividingBy: max(1, columns))
    return Failure(
      .data, "data.nonfinite", "the weight in row \(row), column \(column) is \(value)", file: file, tensor: tensor,
      remedy: "Give a checkpoint that is not damaged or diverged, or \(setting: "allow-nonfinite") to convert it anyway.")
  }
}
