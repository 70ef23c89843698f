import CKernels

/// Products of 32-bit matrices.
///
/// Every element of a product is a sum over the depth in blocks of `depthBlock`: inside a block one chain in ascending
/// order that starts at zero, then the blocks in ascending order. Hence an element depends on its own row and column
/// alone, not on the size of the call nor on the number of threads, and processors with AVX2 and with AVX-512 give the
/// same bits. The baseline level lacks fused multiply-add and rounds twice per step.
public enum LinearAlgebra {
  /// Steps of the inner dimension that are summed in registers.
  package static let depthBlock = 256
  /// Columns of the product per piece of work.
  private static let stripColumns = 128

  /// The instruction set in use.
  package static let level = qc_cpu_level()

  /// `result = a * bᵀ`.
  /// - Parameters:
  ///   - a: `[m, k]`, row-major.
  ///   - b: `[n, k]`, row-major: a weight matrix `[out, in]`.
  ///   - result: `[m, n]`, overwritten; must not overlap the operands.
  public static func multiplyTransposed(
    _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, m: Int, n: Int, k: Int, into result: UnsafeMutablePointer<Float>,
    precision: ProductPrecision = .f32, parallel: Parallel
  ) {
    var product = Product(
      a: Operand(base: a, stride: k, isDepthContiguous: true), b: Operand(base: b, stride: k, isDepthContiguous: true), m: m, n: n,
      k: k)
    product.level = precision.level
    product.run(into: result, stride: n, parallel: parallel)
  }

  /// `gram += xᵀ * x` for a panel `[tokens, channels]`, on and above the diagonal; `mirror` fills in the rest at the end.
  ///
  /// Tokens are summed in blocks of `depthBlock` from the start of the panel; the sum over several panels depends on how
  /// tokens are split into panels, but not on threads.
  /// - Parameter gram: `[channels, channels]`; what it holds below the diagonal is undefined afterwards.
  public static func addGram(of x: Panel, to gram: inout [Float], precision: ProductPrecision = .f32, parallel: Parallel) {
    let channels = x.columns
    precondition(gram.count == channels * channels, "a Gram matrix is channels by channels")
    let operand = Operand(base: x.base, stride: x.rowStride, isDepthContiguous: false)
    var product = Product(a: operand, b: operand, m: channels, n: channels, k: x.rows)
    product.accumulates = true
    product.isUpperTriangle = true
    product.level = precision.level
    gram.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      product.run(into: base, stride: channels, parallel: parallel)
    }
  }

  /// Copies the part above the diagonal of a square matrix to below it.
  public static func mirror(_ matrix: inout [Float], size: Int, parallel: Parallel) {
    precondition(matrix.count == size * size, "the matrix is square")
    matrix.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(size, piece: 64) { rows in
        for i in rows {
          for j in 0..<i { target.base[i * size + j] = target.base[j * size + i] }
        }
      }
    }
  }

  /// An operand of a product, seen as outer indices by depth.
  package struct Operand: @unchecked Sendable {
    // Unchecked: read only for the duration of a call.
    let base: UnsafePointer<Float>
    let stride: Int
    /// Whether element (i, p) is at `i * stride + p`, rather than at `p * stride + i`.
    let isDepthContiguous: Bool

    package init(base: UnsafePointer<Float>, stride: Int, isDepthContiguous: Bool) {
      self.base = base
      self.stride = stride
      self.isDepthContiguous = isDepthContiguous
    }

    /// Copies `outer` indices of some depth into the layout of the micro-kernel.
    func pack(_ outer: Range<Int>, depth: Range<Int>, width: Int, asPairs: Bool, into out: UnsafeMutablePointer<Float>) {
      if isDepthContiguous {
        let source = base + outer.lowerBound * stride + depth.lowerBound
        let pack = asPairs ? qc_pack_contiguous_pairs : qc_pack_contiguous
        pack(source, stride, outer.count, depth.count, width, out)
      } else {
        let source = base + depth.lowerBound * stride + outer.lowerBound
        let pack = asPairs ? qc_pack_strided_pairs : qc_pack_strided
        pack(source, stride, outer.count, depth.count, width, out)
      }
    }
  }

  /// One product `a * b` with the sizes of its blocks.
  package struct Product: Sendable {
    var a: Operand
    var b: Operand
    var m: Int
    var n: Int
    var k: Int
    /// Adds to the target instead of overwriting it.
    package var accumulates = false
    /// Computes only tiles that touch the diagonal or lie above it; what it leaves elsewhere is undefined.
    var isUpperTriangle = false
    package var level = LinearAlgebra.level

    package init(
      a: Operand, b: Operand, m: Int, n: Int, k: Int, accumulates: Bool = false, isUpperTriangle: Bool = false,
      level: Int32 = LinearAlgebra.level
    ) {
      self.a = a
      self.b = b
      self.m = m
      self.n = n
      self.k = k
      self.accumulates = accumulates
      self.isUpperTriangle = isUpperTriangle
      self.level = level
    }

    private var usesPairs: Bool { level == Int32(QC_BFLOAT_PAIRS) }
    /// Floats of a packed operand per outer index, for a depth that starts at a block.
    private func packedSteps(_ depth: Int) -> Int { usesPairs ? (depth + 1) / 2 : depth }

    /// Writes the product to rows of `stride` floats.
    ///
    /// Scratch: a packed copy of at most 4 Mi values of `a`, and one strip of `b` per thread.
    package func run(into result: UnsafeMutablePointer<Float>, stride: Int, parallel: Parallel) {
      guard m > 0, n > 0 else { return }
      guard k > 0 else {
        if !accumulates { for i in 0..<m { (result + i * stride).update(repeating: 0, count: n) } }
        return
      }
      let tileRows = qc_tile_rows(level)
      let chunkRows = min(768, max(96, (4 << 20) / k)) / tileRows * tileRows
      let packed = AlignedScratch(count: min(chunkRows, (m + tileRows - 1) / tileRows * tileRows) * k)
      for first in Swift.stride(from: 0, to: m, by: chunkRows) {
        let rows = first..<min(m, first + chunkRows)
        packA(rows, into: packed.base, parallel: parallel)
        multiply(rows, packed: SharedPointer(packed.base), into: SharedPointer(result), stride: stride, parallel: parallel)
      }
    }

    /// One depth block after another, each as tiles `[depth][tileRows]`.
    private func packA(_ rows: Range<Int>, into packed: UnsafeMutablePointer<Float>, parallel: Parallel) {
      let tileRows = qc_tile_rows(level)
      let tiles = (rows.count + tileRows - 1) / tileRows
      let target = SharedPointer(packed)
      parallel.forEachRange(tiles, piece: 8) { piece in
        for depth in blocks {
          for tile in piece {
            let start = rows.lowerBound + tile * tileRows
            a.pack(
              start..<min(rows.upperBound, start + tileRows), depth: depth, width: tileRows, asPairs: usesPairs,
              into: target.base + tiles * tileRows * packedSteps(depth.lowerBound) + tile * tileRows * packedSteps(depth.count))
          }
        }
      }
    }

    private func multiply(
      _ rows: Range<Int>, packed: SharedPointer<Float>, into result: SharedPointer<Float>, stride: Int, parallel: Parallel
    ) {
      let tileRows = qc_tile_rows(level)
      let tileColumns = qc_tile_columns(level)
      let packedRows = (rows.count + tileRows - 1) / tileRows * tileRows
      parallel.forEachRange(n, piece: stripColumns) { columns in
        let diagonal = isUpperTriangle ? columns.lowerBound - rows.lowerBound : rows.count
        guard diagonal + columns.count > 0 else { return }
        let strip = AlignedScratch(count: (columns.count + tileColumns - 1) / tileColumns * tileColumns * min(k, depthBlock))
        for depth in blocks {
          for start in Swift.stride(from: columns.lowerBound, to: columns.upperBound, by: tileColumns) {
            b.pack(
              start..<min(columns.upperBound, start + tileColumns), depth: depth, width: tileColumns, asPairs: usesPairs,
              into: strip.base + (start - columns.lowerBound) * packedSteps(depth.count))
          }
          qc_multiply_packed(
            level, packed.base + packedRows * packedSteps(depth.lowerBound), rows.count, strip.base, columns.count,
            packedSteps(depth.count),
            result.base + rows.lowerBound * stride + columns.lowerBound, stride, accumulates || depth.lowerBound > 0 ? 1 : 0, diagonal)
        }
      }
    }

    private var blocks: [Range<Int>] {
      Swift.stride(from: 0, to: k, by: depthBlock).map { $0..<min(k, $0 + depthBlock) }
    }
  }
}

extension Matrix {
  /// `a * bᵀ`: activations `[m, k]` times a weight matrix `[n, k]` gives `[m, n]`.
  public static func multiplyTransposed(_ a: Matrix, _ b: Matrix, precision: ProductPrecision = .f32, parallel: Parallel) -> Matrix {
    precondition(a.columns == b.columns, "both operands have rows of the same length")
    return Matrix(rows: a.rows, columns: b.rows) { target in
      a.withPanel { left in
        b.withPanel { right in
          LinearAlgebra.multiplyTransposed(
            left.base, right.base, m: a.rows, n: b.rows, k: a.columns, into: target, precision: precision, parallel: parallel)
        }
      }
    }
  }
}

extension Matrix {
  /// `a * b`: `[m, k]` times `[k, n]` gives `[m, n]`.
  public static func multiply(_ a: Matrix, _ b: Matrix, parallel: Parallel) -> Matrix {
    precondition(a.columns == b.rows, "both operands have the same depth")
    var result = Matrix(rows: a.rows, columns: b.columns)
    result.values.withUnsafeMutableBufferPointer { target in
      a.values.withUnsafeBufferPointer { left in
        b.values.withUnsafeBufferPointer { right in
          guard let target = target.baseAddress, let left = left.baseAddress, let right = right.baseAddress else { return }
          LinearAlgebra.Product(
            a: LinearAlgebra.Operand(base: left, stride: a.columns, isDepthContiguous: true),
            b: LinearAlgebra.Operand(base: right, stride: b.columns, isDepthContiguous: false), m: a.rows, n: b.columns, k: a.columns
          ).run(into: target, stride: b.columns, parallel: parallel)
        }
      }
    }
    return result
  }
}

/// Floats aligned to a cache line, freed with the object.
package final class AlignedScratch {
  package let base: UnsafeMutablePointer<Float>

  package init(count: Int) {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(1, count) * MemoryLayout<Float>.stride, alignment: 64)
    base = raw.bindMemory(to: Float.self, capacity: max(1, count))
  }

  deinit { UnsafeMutableRawPointer(base).deallocate() }
}
