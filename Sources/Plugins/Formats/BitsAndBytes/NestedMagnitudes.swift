/// The magnitudes of blocks, as bitsandbytes quantizes them in turn ("double quantization").
///
/// The mean of all is subtracted; each difference is stored in 8 bits, as an entry of a table between -1 and 1 times the largest
/// difference of its run of 256. The library's CPU kernel does not search the table: it cuts [-1, 1] into 65535 steps and takes the
/// entry nearest to the middle of the step. That decides for magnitudes within a step of the boundary between two entries.
struct NestedMagnitudes: Sendable {
  /// Magnitudes that share a factor.
  static let blockLength = 256

  /// Subtracted from all magnitudes.
  let offset: Float
  /// One for each run of magnitudes.
  let factors: [Float]

  /// - Parameter magnitudes: those of all blocks of a matrix, row after row; finite.
  init(_ magnitudes: [Float]) {
    let mean = Float(magnitudes.reduce(0) { $0 + Double($1) } / Double(max(1, magnitudes.count)))
    offset = mean
    factors = stride(from: 0, to: magnitudes.count, by: NestedMagnitudes.blockLength).map { start in
      magnitudes[start..<min(magnitudes.count, start + NestedMagnitudes.blockLength)].reduce(0) { max($0, abs($1 - mean)) }
    }
  }

  /// The code of a magnitude.
  /// - Parameter block: the block that the magnitude belongs to.
  func code(_ magnitude: Float, block: Int) -> Int {
    let reciprocal = 1 / max(factors[block / NestedMagnitudes.blockLength], 1e-38)
    let scaled = min(max((magnitude - offset) * reciprocal, -1), 1)
    let step = ((scaled + 1) * 32767.5 + 0.5).rounded(.down)
    return NestedMagnitudes.entry(-1 + 2 * step / 65535)
  }

  /// The magnitude that a code means.
  func value(_ code: Int, block: Int) -> Float {
    NestedMagnitudes.table[code] * factors[block / NestedMagnitudes.blockLength] + offset
  }

  /// The entry of the table nearest to a value.
  private static func entry(_ value: Float) -> Int {
    var low = 0, high = bounds.count
    while low < high {
      let middle = (low + high) / 2
      if bounds[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The 8-bit dynamic data type (arXiv:1511.04561): powers of ten from 10⁻⁶ up, each cut into twice as many steps as the one
  /// before, on both sides of zero; and 1.
  static let table: [Float] = {
    var values: [Float] = [0, 1]
    for (exponent, power) in ([1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1] as [Float]).enumerated() {
      let steps = 1 << exponent
      let ends = (0...steps).map { end($0, of: steps) }
      for step in 0..<steps {
        let value = (ends[step] + ends[step + 1]) / 2 * power
        values += [value, -value]
      }
    }
    return values.sorted()
  }()

  /// The n-th of equally spaced values from 0.1 to 1, computed from the nearer end and rounded once.
  private static func end(_ index: Int, of steps: Int) -> Float {
    let first: Float = 0.1
    let step = Double((1 - first) / Float(steps))
    return index < (steps + 1) / 2 ? Float(Double(first) + step * Double(index)) : Float(1 - step * Double(steps - index))
  }

  private static let bounds: [Float] = zip(table, table.dropFirst()).map { ($0 + $1) / 2 }
}
