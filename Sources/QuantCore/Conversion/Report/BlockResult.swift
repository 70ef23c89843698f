/// The result of converting one block.
struct BlockResult {
  /// Indices of the planned tensors that were written.
  var written: [Int] = []
  /// A report of each of them.
  var tensors: [ConversionReport.TensorReport] = []
  /// What methods reported.
  var notes: [String] = []
}
