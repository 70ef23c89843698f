/// Turns some rows of one tensor into the bytes of its parts. Called from several threads.
struct TileEncoder: Sendable {
  struct Output: Sendable {
    /// Bytes per part; empty for a part that got nothing from these rows.
    var parts: [[UInt8]]
    /// Σ (rounded − original)², where codes were at hand.
    var squaredError = 0.0
    var squaredOriginal = 0.0
  }

  let tensor: PlannedTensor
  let columns: Int
  let rounder: (any Rounder)?
  /// For a rounder, which wants to know the model's rows.
  let map: RowMap?
  let checksFinite: Bool
  let file: String
  /// Fills a buffer with rows of the output, in the output's order.
  let load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void

  /// - Throws: `Failure` for a value that is not finite.
  func encode(_ rows: Range<Int>) throws -> Output {
    let values = [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
      if let base = buffer.baseAddress { load(rows, base) }
      count = rows.count * columns
    }
    if checksFinite, !VectorKernels.areFinite(values, count: values.count), let bad = values.firstIndex(where: { !$0.isFinite }) {
      let row = map.map { $0.sourceRow(rows.lowerBound + bad / columns) } ?? rows.lowerBound + bad / columns
      throw TensorWriter.nonfinite(values[bad], index: row * columns + bad % columns, tensor: tensor.sourceName, file: file)
    }
    let matrix = Matrix(rows: rows.count, columns: columns, values: values)
    if rounder == nil, let fused = tensor.packing.fused(scheme: tensor.scheme) { return Output(parts: [encode(matrix, fused)]) }

    let scheme = tensor.scheme
    var quantized = scheme.emptyPanel(rows: rows.count, columns: columns)
    matrix.withPanel { panel in
      if let rounder {
        rounder.round(panel, rows: rows.map { map?.modelRow($0) ?? $0 }, into: &quantized)
      } else {
        scheme.encode(panel, importance: nil, into: &quantized)
      }
    }
    var output = Output(parts: tensor.packing.pack(quantized, rows: rows, of: tensor.shape, scheme: scheme))
    if scheme.grid.kind != .float { measure(quantized, matrix, &output) }
    return output
  }

  private func encode(_ matrix: Matrix, _ fused: FusedEncoder) -> [UInt8] {
    let count = tensor.parts[0].byteCount / max(1, tensor.shape.reduce(1, *) / columns) * matrix.rows
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      matrix.values.withUnsafeBufferPointer { source in
        if let base = source.baseAddress, let destination = buffer.baseAddress {
          fused(base, matrix.rows, columns, nil, UnsafeMutableRawPointer(destination))
        }
      }
      initialized = count
    }
  }

  private func measure(_ quantized: QuantizedPanel, _ matrix: Matrix, _ output: inout Output) {
    var values = [Float](repeating: 0, count: matrix.values.count)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { tensor.scheme.value(quantized, columns: 0..<columns, into: base) }
    }
    for i in values.indices {
      let original = Double(matrix.values[i])
      let difference = Double(values[i]) - original
      output.squaredError += difference * difference
      output.squaredOriginal += original * original
    }
  }
}
