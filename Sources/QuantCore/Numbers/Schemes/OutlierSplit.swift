import Synchronization

/// Rounds inputs as LLM.int8() does while a model runs: columns that hold an outlier stay in half precision, the others become INT8
/// with a scale for each token.
///
/// A column is kept if any token of the batch has a magnitude of the threshold or more in it. Inputs are half floats. The scale of a
/// token is a 127th of the largest of its magnitudes below the threshold, those in kept columns included; codes round half to even.
/// Both parts are multiplied by the same weights, so that only inputs differ.
///
/// Source: Dettmers et al., *LLM.int8()* (arXiv 2208.07339), §3; and bitsandbytes, whose batch is everything that flows through a layer
/// at once.
public struct OutlierSplit: ValueRounding {
  /// The threshold of the paper.
  public static let usualThreshold: Float = 6

  /// Magnitudes from this on are outliers.
  public let threshold: Float
  /// What was kept so far.
  public let kept = KeptColumns()

  public init(threshold: Float) { self.threshold = threshold }

  public func round(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel) {
    var isKept = [Bool](repeating: false, count: columns)
    for row in 0..<rows {
      for column in 0..<columns {
        let value = values + row * columns + column
        value.pointee = NumberConversion.rounded(value.pointee, to: .f16)
        if value.pointee.magnitude >= threshold { isKept[column] = true }
      }
    }
    kept.add(isKept)
    let shared = SharedPointer(values), keeps = isKept, threshold = threshold
    parallel.forEachRange(rows, piece: 16) { rows in
      for row in rows {
        let token = shared.base + row * columns
        var largest: Float = 0
        for column in 0..<columns where token[column].magnitude < threshold { largest = max(largest, token[column].magnitude) }
        guard largest > 0 else { continue }
        // PyTorch multiplies by the reciprocal of a divisor.
        let factor = 1 / largest * 127
        for column in 0..<columns where !keeps[column] {
          token[column] = (token[column] * factor).rounded(.toNearestOrEven) * (largest / 127)
        }
      }
    }
  }

  /// The columns that were kept in at least one batch. Shared by all copies of the rounding.
  public final class KeptColumns: Sendable {
    private let columns = Mutex<[Bool]>([])

    /// Numbers of the columns, in order.
    public var indices: [Int] { columns.withLock { columns in columns.indices.filter { columns[$0] } } }
    /// Columns of the layer's input; 0 if nothing has flowed through it.
    public var count: Int { columns.withLock { $0.count } }

    func add(_ kept: [Bool]) {
      columns.withLock { columns in
        if columns.isEmpty { columns = kept }
        for index in kept.indices where kept[index] { columns[index] = true }
      }
    }
  }
}
