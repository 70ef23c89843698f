/// A matrix with what adapters add to it, row by row: neither the sum nor a product is ever held whole.
///
/// It offers no codes: what is stored in a quantized type is decoded, added to, and available as floats only.
struct MergedStorage: TensorStorage {
  let original: any TensorStorage
  /// In the order in which they are added.
  let updates: [LowRankUpdate]
  /// Keeps the decoded matrix of an update that all rows need; shared by the tensors of a model.
  private let ranks: DecodedRanks

  init(original: any TensorStorage, updates: [LowRankUpdate], ranks: DecodedRanks) {
    self.original = original
    self.updates = updates
    self.ranks = ranks
  }

  var schemeName: String { original.schemeName }
  var byteCount: Int { original.byteCount }
  var isNumeric: Bool { original.isNumeric }
  var verbatim: ByteView? { nil }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    original.decode(rows: rows, rowLength: rowLength, into: destination)
    for (index, update) in updates.enumerated() {
      func decoded(_ matrix: ThinMatrix) -> [Float] { ranks.of(matrix, target: update.target, index: index) }
      if update.isTransposed {
        MergedStorage.add(
          update, update.inputs.values(channels: rows), times: decoded(update.outputs), rows: rows.count,
          columns: update.outputs.channelCount, to: destination + update.firstOutput, stride: rowLength)
      } else {
        let last = update.firstOutput + update.outputs.channelCount
        let touched = rows.clamped(to: update.firstOutput..<last)
        guard !touched.isEmpty else { continue }
        let channels = touched.lowerBound - update.firstOutput..<touched.upperBound - update.firstOutput
        MergedStorage.add(
          update, update.outputs.values(channels: channels), times: decoded(update.inputs), rows: touched.count,
          columns: update.inputs.channelCount, to: destination + (touched.lowerBound - rows.lowerBound) * rowLength, stride: rowLength)
      }
    }
  }

  /// `target += scale · left · right`, every element summed over the ranks in order before it is scaled and added.
  private static func add(
    _ update: LowRankUpdate, _ left: [Float], times right: [Float], rows: Int, columns: Int, to target: UnsafeMutablePointer<Float>,
    stride: Int
  ) {
    let rank = update.rank
    var sum = [Float](repeating: 0, count: columns)
    sum.withUnsafeMutableBufferPointer { sum in
      right.withUnsafeBufferPointer { right in
        guard let sum = sum.baseAddress, let right = right.baseAddress else { return }
        for row in 0..<rows {
          sum.update(repeating: 0, count: columns)
          for index in 0..<rank { VectorKernels.axpy(left[row * rank + index], right + index * columns, sum, count: columns) }
          VectorKernels.axpy(Float(update.scale), sum, target + row * stride, count: columns)
        }
      }
    }
  }
}
