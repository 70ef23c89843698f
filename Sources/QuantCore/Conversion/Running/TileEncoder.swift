import CKernels

/// Encodes some rows of one tensor as the bytes of its parts. Called from several threads.
struct TileEncoder: Sendable {
  struct Output: Sendable {
    /// Bytes per part; empty for a part that got nothing from these rows.
    var parts: [[UInt8]]
    /// Σ (rounded − original)², if codes were available.
    var squaredError = 0.0
    var squaredOriginal = 0.0
    /// What the written codes mean; empty unless asked for.
    var values: [Float] = []
  }

  /// Up to this magnitude no weight and no scale can exceed the range of F16, the narrowest type that anything is stored in.
  private static let safeMagnitude: Float = 0x1p14

  /// A fused encoder gives bytes alone. Rounding every tile a second time to know its error would double the work, so the error is that of
  /// one tile in this many.
  private static let tilesPerSample = 32

  /// The share of the sum of squares that rounding may lose, in a row with larger weights.
  private static let mostLost = 0.999

  let tensor: PlannedTensor
  /// The tensor's scheme, if it quantizes parameters of tiles.
  let nesting: (any NestingScheme)?
  let columns: Int
  let rounder: (any Rounder)?
  /// How much errors in each column weigh, for the scheme's own rule.
  let importance: [Float]?
  /// Tells the rounder the model's rows; nil: they are those of the output from `firstRow` on.
  let map: RowMap?
  /// The output's row at which the matrix begins.
  let firstRow: Int
  let checksFinite: Bool
  /// Whether to return what the codes mean.
  var keepsValues = false
  let file: String
  let buffers: TileBuffers
  /// Fills a buffer with rows of the output, in the output's order.
  let load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void

  /// - Throws: `Failure` for a weight that is not finite, or would not be finite in the output.
  func encode(_ rows: Range<Int>) throws -> Output {
    try buffers.withBuffer { buffer in
      let count = rows.count * columns
      buffer.reserve(count)
      return try buffer.values.withUnsafeMutableBufferPointer { values in
        try buffer.numbers.withUnsafeMutableBufferPointer { numbers in
          guard let values = values.baseAddress, let numbers = numbers.baseAddress else { return Output(parts: []) }
          load(rows, values)
          return try encode(rows, UnsafeBufferPointer(start: values, count: count), numbers, &buffer.quantized)
        }
      }
    }
  }

  /// - Parameters:
  ///   - numbers: room for what the codes mean.
  ///   - kept: codes and parameters of an earlier tile; replaced by those of this one.
  private func encode(
    _ rows: Range<Int>, _ values: UnsafeBufferPointer<Float>, _ numbers: UnsafeMutablePointer<Float>, _ kept: inout QuantizedPanel?
  ) throws -> Output {
    guard let base = values.baseAddress else { return Output(parts: []) }
    let scheme = tensor.scheme
    let largest = try largestMagnitude(values, rows: rows)
    let mayOverflow = largest > TileEncoder.safeMagnitude
    let panel = Panel(base: base, rows: rows.count, columns: columns, rowStride: columns)
    let stored = UnsafeBufferPointer(start: numbers, count: values.count)
    if rounder == nil, !keepsValues, let fused = tensor.packing.fused(scheme: scheme) {
      var output = Output(parts: [encode(panel, fused)])
      let measures = scheme.grid.kind != .float && rows.lowerBound / max(1, rows.count) % TileEncoder.tilesPerSample == 0
      if mayOverflow || measures { scheme.roundTrip(panel, importance: importance, into: numbers) }
      if mayOverflow { try checkRange(stored, values, rows: rows) }
      if measures { qc_squared_errors(numbers, base, values.count, &output.squaredError, &output.squaredOriginal) }
      return output
    }
    // Every code and parameter is overwritten.
    var quantized = take(&kept, rows: rows.count) ?? scheme.emptyPanel(rows: rows.count, columns: columns)
    if let rounder {
      rounder.round(panel, rows: rows.map { map?.modelRow($0) ?? $0 - firstRow }, into: &quantized)
    } else {
      scheme.encode(panel, importance: importance, into: &quantized)
    }
    nesting?.nest(&quantized, firstTile: rows.lowerBound * quantized.groupsPerRow)
    scheme.value(quantized, columns: 0..<columns, into: numbers)
    if mayOverflow { try checkRange(stored, values, rows: rows) }
    var output = Output(parts: tensor.packing.pack(quantized, rows: rows, of: tensor.shape, scheme: scheme))
    if scheme.grid.kind != .float { qc_squared_errors(numbers, base, values.count, &output.squaredError, &output.squaredOriginal) }
    if keepsValues { output.values = Array(stored) }
    kept = quantized
    return output
  }

  /// The panel of an earlier tile, if it has the shape needed for this many rows.
  private func take(_ kept: inout QuantizedPanel?, rows: Int) -> QuantizedPanel? {
    let scheme = tensor.scheme
    guard let last = kept, last.rows == rows, last.columns == columns, last.groupLength == scheme.groupLength(columns: columns),
      last.tileRows == scheme.grid.tileRows ?? rows, last.parameterCount == scheme.parameterCount
    else { return nil }
    kept = nil
    return last
  }

  /// The largest magnitude of a tile, or 0 if values are not checked.
  private func largestMagnitude(_ values: UnsafeBufferPointer<Float>, rows: Range<Int>) throws(Failure) -> Float {
    guard checksFinite, let base = values.baseAddress else { return 0 }
    // Bit patterns of magnitudes are ordered like the magnitudes, with infinity and NaN at the end.
    let largest = Float(bitPattern: qc_largest_bits(base, values.count))
    if !largest.isFinite, let bad = values.firstIndex(where: { !$0.isFinite }) {
      let origin = source(bad, rows)
      throw TensorWriter.nonfinite(values[bad], index: origin.index, columns: origin.columns, tensor: origin.tensor, file: file)
    }
    return largest
  }

  /// Refuses weights that a client would not get back from the output: the weight, or the scale of its group, is beyond the
  /// range of the type that it is stored in, or the search for the scale could not compute with it.
  private func checkRange(_ stored: UnsafeBufferPointer<Float>, _ values: UnsafeBufferPointer<Float>, rows: Range<Int>) throws(Failure) {
    guard let lost = firstLost(stored, values, rows: rows.count) else { return }
    let origin = source(lost, rows)
    let (row, column) = origin.index.quotientAndRemainder(dividingBy: max(1, origin.columns))
    throw Failure(
      .data, "data.overflow",
      "the weight in row \(row), column \(column) is \(values[lost]), beyond the range of \(tensor.scheme.name), and would be lost",
      file: file, tensor: origin.tensor,
      remedy:
        "Give this tensor a type of larger range with \(setting: "tensor") '\(tensor.name)=bf16' (or f32), or give \(setting: "allow-nonfinite")."
    )
  }

  /// In the first row that lost such large weights, the index of the largest weight; nil if no row did.
  private func firstLost(_ stored: UnsafeBufferPointer<Float>, _ values: UnsafeBufferPointer<Float>, rows: Int) -> Int? {
    guard let stored = stored.baseAddress, let base = values.baseAddress else { return nil }
    for row in 0..<rows {
      let start = row * columns
      // Rows of small weights cannot overflow, though their weights may become 0.
      if Float(bitPattern: qc_largest_bits(base + start, columns)) <= TileEncoder.safeMagnitude { continue }
      var error = 0.0, original = 0.0
      qc_squared_errors(stored + start, base + start, columns, &error, &original)
      // Rounding to a sign keeps a hundredth of the squares of a row with one large weight; keeping less is no better than zero.
      if error < TileEncoder.mostLost * original || original == 0 { continue }
      return (start..<start + columns).max { values[$0].magnitude < values[$1].magnitude }
    }
    return nil
  }

  /// Where the source holds a weight of a tile.
  private func source(_ index: Int, _ rows: Range<Int>) -> (tensor: String, index: Int, columns: Int) {
    RowMap(tensor).source(row: rows.lowerBound + index / columns, column: index % columns, columns: columns)
  }

  private func encode(_ panel: Panel, _ fused: FusedEncoder) -> [UInt8] {
    let count = tensor.parts[0].byteCount / max(1, tensor.shape.reduce(1, *) / columns) * panel.rows
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let destination = buffer.baseAddress {
        func run(_ weights: UnsafePointer<Float>?) { fused(panel.base, panel.rows, columns, weights, UnsafeMutableRawPointer(destination)) }
        if let importance { importance.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
      }
      initialized = count
    }
  }
}
