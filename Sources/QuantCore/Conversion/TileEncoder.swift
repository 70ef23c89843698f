/// Turns some rows of one tensor into the bytes of its parts. Called from several threads.
struct TileEncoder: Sendable {
  struct Output: Sendable {
    /// Bytes per part; empty for a part that got nothing from these rows.
    var parts: [[UInt8]]
    /// Σ (rounded − original)², where codes were at hand.
    var squaredError = 0.0
    var squaredOriginal = 0.0
    /// What the written codes mean; empty unless it was asked for.
    var values: [Float] = []
  }

  /// Up to this magnitude no value and no scale can leave the range of a half, the narrowest type that anything is stored in.
  private static let safeMagnitude: Float = 0x1p14

  let tensor: PlannedTensor
  let columns: Int
  let rounder: (any Rounder)?
  /// What errors in each column weigh, for the scheme's own rule.
  let importance: [Float]?
  /// For a rounder, which wants to know the model's rows.
  let map: RowMap?
  let checksFinite: Bool
  /// Whether to return what the codes mean.
  var keepsValues = false
  let file: String
  /// Fills a buffer with rows of the output, in the output's order.
  let load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void

  /// - Throws: `Failure` for a value that is not finite, or would not be in the output.
  func encode(_ rows: Range<Int>) throws -> Output {
    let values = [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
      if let base = buffer.baseAddress { load(rows, base) }
      count = rows.count * columns
    }
    // Bit patterns of magnitudes are ordered like the magnitudes, with infinity and NaN at the end.
    let largest = checksFinite ? Float(bitPattern: values.reduce(0) { max($0, $1.magnitude.bitPattern) }) : 0
    if !largest.isFinite, let bad = values.firstIndex(where: { !$0.isFinite }) {
      let origin = RowMap(tensor).source(row: rows.lowerBound + bad / columns, column: bad % columns, columns: columns)
      throw TensorWriter.nonfinite(values[bad], index: origin.index, tensor: origin.tensor, file: file)
    }
    let mayOverflow = largest > TileEncoder.safeMagnitude
    let scheme = tensor.scheme
    let matrix = Matrix(rows: rows.count, columns: columns, values: values)
    if rounder == nil, !keepsValues, let fused = tensor.packing.fused(scheme: scheme) {
      if mayOverflow { try checkRange(matrix.withPanel { scheme.roundTrip($0, importance: importance) }, largest: largest) }
      return Output(parts: [encode(matrix, fused, importance)])
    }
    var quantized = scheme.emptyPanel(rows: rows.count, columns: columns)
    matrix.withPanel { panel in
      if let rounder {
        rounder.round(panel, rows: rows.map { map?.modelRow($0) ?? $0 }, into: &quantized)
      } else {
        scheme.encode(panel, importance: importance, into: &quantized)
      }
    }
    scheme.nest(&quantized, firstTile: rows.lowerBound * quantized.groupsPerRow)
    let numbers = scheme.values(quantized)
    if mayOverflow { try checkRange(numbers, largest: largest) }
    var output = Output(parts: tensor.packing.pack(quantized, rows: rows, of: tensor.shape, scheme: scheme))
    if scheme.grid.kind != .float { TileEncoder.measure(numbers, matrix, &output) }
    if keepsValues { output.values = numbers }
    return output
  }

  /// Refuses what a reader of the output would take for infinite: a value, or the scale of its group, beyond the range of
  /// the type that it is stored in.
  private func checkRange(_ stored: [Float], largest: Float) throws(Failure) {
    guard stored.contains(where: { !$0.isFinite }) else { return }
    throw Failure(
      .data, "data.overflow", "values up to \(largest) are beyond the range of \(tensor.scheme.name) and would become infinite",
      file: file, tensor: tensor.name,
      remedy: "Give this tensor a type of larger range with --tensor '\(tensor.name)=bf16' (or f32), or --allow-nonfinite.")
  }

  private func encode(_ matrix: Matrix, _ fused: FusedEncoder, _ importance: [Float]?) -> [UInt8] {
    let count = tensor.parts[0].byteCount / max(1, tensor.shape.reduce(1, *) / columns) * matrix.rows
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      matrix.values.withUnsafeBufferPointer { source in
        guard let base = source.baseAddress, let destination = buffer.baseAddress else { return }
        func run(_ weights: UnsafePointer<Float>?) { fused(base, matrix.rows, columns, weights, UnsafeMutableRawPointer(destination)) }
        if let importance { importance.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
      }
      initialized = count
    }
  }

  private static func measure(_ values: [Float], _ matrix: Matrix, _ output: inout Output) {
    for i in values.indices {
      let original = Double(matrix.values[i])
      let difference = Double(values[i]) - original
      output.squaredError += difference * difference
      output.squaredOriginal += original * original
    }
  }
}
