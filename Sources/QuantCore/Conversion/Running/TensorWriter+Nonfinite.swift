extension TensorWriter {
  /// What to say about a value that is not finite.
  /// - Parameters:
  ///   - index: among all values of the tensor.
  ///   - columns: length of its rows.
  static func nonfinite(_ value: Float, index: Int, columns: Int, tensor: String, file: String) -> Failure {
    let (row, column) = index.quotientAndRemainder(dividingBy: max(1, columns))
    return Failure(
      .data, "data.nonfinite", "the value in row \(row), column \(column) is \(value)", file: file, tensor: tensor,
      remedy: "The checkpoint is damaged, or was saved after training diverged; --allow-nonfinite converts it all the same.")
  }
}
