/// Rounds the values that flow through a model, like a client that computes with fewer bits.
public protocol ValueRounding: Sendable {
  /// Rounds values `[rows, columns]` in place; each row belongs to one token. Unless all tokens share a scale, the result for a
  /// token does not depend on what else is in the batch. Values that are not finite stay not finite.
  func round(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel)
}

/// Values kept in a shorter float: `f16` or `bf16`. Any other type changes nothing.
public struct FloatRounding: ValueRounding {
  /// The type in which values are kept.
  public let type: ElementType

  public init(_ type: ElementType) { self.type = type }

  public func round(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel) {
    let shared = SharedPointer(values)
    parallel.forEachRange(rows, piece: 16) { rows in
      for i in rows.lowerBound * columns..<rows.upperBound * columns {
        shared.base[i] = NumberConversion.rounded(shared.base[i], to: type)
      }
    }
  }
}

extension Matrix {
  /// Rounds the values in place; each row belongs to one token.
  public mutating func round(with rounding: any ValueRounding, parallel: Parallel) {
    let (rows, columns) = (rows, columns)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { rounding.round(base, rows: rows, columns: columns, parallel: parallel) }
    }
  }
}
