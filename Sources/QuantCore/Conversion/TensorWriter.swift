import Synchronization

/// Encodes tensors and writes them at their planned places.
struct TensorWriter {
  private let plan: ConversionPlan
  private let transaction: OutputTransaction
  private let progress: any ProgressReporter
  private let parallel: Parallel
  /// Indices into the layout's placements, by tensor and part.
  private let placements: [[Int]]

  init(plan: ConversionPlan, transaction: OutputTransaction, progress: any ProgressReporter) {
    self.plan = plan
    self.transaction = transaction
    self.progress = progress
    parallel = Parallel(threads: plan.request.threads)
    var placements = plan.tensors.map { [Int](repeating: -1, count: $0.parts.count) }
    for (index, placement) in plan.layout.placements.enumerated() { placements[placement.tensor][placement.part] = index }
    self.placements = placements
  }

  /// Streams one tensor from the source, by the scheme's own rule.
  func stream(_ index: Int) throws -> ConversionReport.TensorReport {
    let clock = ContinuousClock()
    let start = clock.now
    var report = ConversionReport.TensorReport(name: plan.tensors[index].name, scheme: plan.tensors[index].scheme.name)
    report.relativeError = try streamed(index).relativeError
    report.seconds = (clock.now - start).inSeconds
    return report
  }

  private func streamed(_ index: Int) throws -> Written {
    let tensor = plan.tensors[index]
    if let constant = tensor.constant {
      let matrix = Matrix(rows: 1, columns: constant.count, values: constant)
      return try write(index, rows: 1, columns: constant.count) { _, destination in
        for c in 0..<constant.count { destination[c] = matrix.values[c] }
      }
    }
    guard let source = plan.source[tensor.sourceName] else {
      throw Failure(.internalError, "convert.source-lost", "a planned tensor is not in the source", tensor: tensor.sourceName)
    }
    if source.elementCount == 0 { return Written() }
    if tensor.isCopy {
      try copy(index, source)
      return Written()
    }
    let map = RowMap(tensor)
    // A vector that is permuted (a bias) moves its elements; a matrix moves its rows.
    if source.shape.count == 1 && !map.isIdentity {
      let values = source.matrix().values
      return try write(index, rows: 1, columns: source.rowLength) { _, destination in
        for c in 0..<source.rowLength { destination[c] = values[map.sourceRow(c)] }
      }
    }
    return try write(index, rows: source.rowCount, columns: source.rowLength) { rows, destination in
      if map.isIdentity {
        source.decode(rows: rows, into: destination)
      } else {
        for (local, row) in rows.enumerated() {
          let from = map.sourceRow(row)
          source.decode(rows: from..<from + 1, into: destination + local * source.rowLength)
        }
      }
    }
  }

  /// What was written of one tensor.
  struct Written {
    /// ‖rounded − original‖ / ‖original‖, or nil for a tensor that is not quantized.
    var relativeError: Double?
    /// What the method that rounded it says.
    var record = RoundingRecord()
    /// What the written codes mean, in the output's order; empty unless it was asked for.
    var values: [Float] = []
  }

  /// Writes one tensor of a block, rounded by the last method that wants to.
  /// - Parameter replaces: whether the block's weights become what the written codes mean.
  func write(
    _ index: Int, from block: inout BlockWorkspace, methods: [any QuantizationMethod], replaces: Bool
  ) throws -> ConversionReport.TensorReport {
    let clock = ContinuousClock()
    let start = clock.now
    let tensor = plan.tensors[index]
    var report = ConversionReport.TensorReport(name: tensor.name, scheme: tensor.scheme.name)
    guard let id = tensor.id else { return report }
    let written = try write(index, id, from: block, methods: methods, keepsValues: replaces)
    report.relativeError = written.relativeError
    report.record = written.record
    report.seconds = (clock.now - start).inSeconds
    guard replaces else { return report }
    let map = RowMap(tensor)
    if !id.isBias, var matrix = block.matrices.removeValue(forKey: id.layer) {
      for row in 0..<matrix.rows {
        let from = row * matrix.columns, to = map.modelRow(row) * matrix.columns
        for c in 0..<matrix.columns { matrix.values[to + c] = written.values[from + c] }
      }
      block.matrices[id.layer] = matrix
    } else {
      for (c, value) in written.values.enumerated() { block.vectors[id]?[map.modelRow(c)] = value }
    }
    return report
  }

  private func write(
    _ index: Int, _ id: TensorID, from block: BlockWorkspace, methods: [any QuantizationMethod], keepsValues: Bool
  ) throws -> Written {
    let tensor = plan.tensors[index]
    let map = RowMap(tensor)
    guard !id.isBias, let matrix = block.matrices[id.layer] else {
      guard let vector = block.vectors[id] else {
        throw Failure(.internalError, "convert.block-tensor", "the block was loaded without this tensor", tensor: tensor.name)
      }
      return try write(index, rows: 1, columns: vector.count, keepsValues: keepsValues) { _, destination in
        for c in 0..<vector.count { destination[c] = vector[map.modelRow(c)] }
      }
    }
    let statistics = block.model.block.input(of: id.layer).flatMap { block.statistics[$0] }
    return try write(
      index, rows: matrix.rows, columns: matrix.columns, map: map, keepsValues: keepsValues,
      load: { rows, destination in
        for (local, row) in rows.enumerated() {
          let from = map.modelRow(row) * matrix.columns
          for c in 0..<matrix.columns { destination[local * matrix.columns + c] = matrix.values[from + c] }
        }
      },
      rounder: { scheme in
        let task = RoundingTask(id: id, name: tensor.name, scheme: scheme, statistics: statistics, parallel: parallel)
        for method in methods.reversed() {
          guard let rounder = try method.rounder(for: task) else { continue }
          if let fallback = rounder.record.fallback { progress.warn("\(tensor.name): \(fallback)") }
          return rounder
        }
        return nil
      })
  }

  // MARK: - Tiles

  /// Rows per piece of work: fixed by the shape, never by the number of threads.
  private func tileRows(rows: Int, columns: Int, multiple: Int) -> Int {
    let wanted = max(1, Converter.tileWeights / max(1, columns))
    return min(rows, max(multiple, wanted / multiple * multiple))
  }

  /// - Parameter rounder: the rounder for a scheme that is fitted to this tensor, or nil.
  private func write(
    _ index: Int, rows: Int, columns: Int, map: RowMap? = nil, keepsValues: Bool = false,
    load: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void,
    rounder: (any Scheme) throws -> (any Rounder)? = { _ in nil }
  ) throws -> Written {
    var tensor = plan.tensors[index]
    let tile = tileRows(rows: rows, columns: columns, multiple: tensor.rowMultiple)
    if tensor.scheme.grid.tileRows == nil {
      tensor.scheme = tensor.scheme.fitted(
        largestMagnitude: largestMagnitude(rows: rows, columns: columns, piece: tile, load: load))
    }
    let rounder = try rounder(tensor.scheme)
    let encoder = TileEncoder(
      tensor: tensor, columns: columns, rounder: rounder, map: map,
      checksFinite: !plan.request.allowNonfinite, keepsValues: keepsValues, file: plan.source.path, load: load)
    var written = Written()
    written.record = rounder?.record ?? RoundingRecord()
    var offsets = [Int](repeating: 0, count: tensor.parts.count)
    var squares = (error: 0.0, original: 0.0)
    // A few tiles at a time: enough for all threads, and the bytes in flight stay bounded.
    let batch = max(1, parallel.threads * 2)
    var next = 0
    while next < rows {
      let starts = (0..<batch).map { next + $0 * tile }.filter { $0 < rows }
      let results = Mutex([Result<TileEncoder.Output, any Error>?](repeating: nil, count: starts.count))
      parallel.forEach(starts.count) { i in
        let outcome = Result { try encoder.encode(starts[i]..<min(rows, starts[i] + tile)) }
        results.withLock { $0[i] = outcome }
      }
      for result in results.withLock({ $0 }) {
        guard let output = try result?.get() else { continue }
        squares.error += output.squaredError
        squares.original += output.squaredOriginal
        written.values += output.values
        for (part, bytes) in output.parts.enumerated() where !bytes.isEmpty {
          try put(bytes, tensor: index, part: part, at: &offsets[part])
        }
      }
      next += starts.count * tile
    }
    for (part, offset) in offsets.enumerated() where offset != tensor.parts[part].byteCount {
      throw Failure(
        .internalError, "convert.size", "\(offset) bytes were made where the plan says \(tensor.parts[part].byteCount)",
        tensor: tensor.parts[part].name)
    }
    if squares.original > 0 { written.relativeError = (squares.error / squares.original).squareRoot() }
    return written
  }

  /// The first of the two passes that a parameter of a whole tensor takes.
  private func largestMagnitude(
    rows: Int, columns: Int, piece: Int, load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) -> Float {
    let largest = Mutex<Float>(0)
    parallel.forEachRange(rows, piece: piece) { rows in
      let values = [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
        if let base = buffer.baseAddress { load(rows, base) }
        count = rows.count * columns
      }
      let found = values.reduce(0) { max($0, abs($1)) }
      largest.withLock { $0 = max($0, found) }
    }
    return largest.withLock { $0 }
  }

  private func put(_ bytes: [UInt8], tensor: Int, part: Int, at offset: inout Int) throws {
    let placement = plan.layout.placements[placements[tensor][part]]
    try bytes.withUnsafeBytes {
      try transaction.write(file: placement.file, offset: placement.offset + offset, bytes: $0)
    }
    offset += bytes.count
    progress.advance("convert", by: bytes.count)
  }

  private func copy(_ index: Int, _ source: CheckpointTensor) throws {
    guard let bytes = source.storage.verbatim else { return }
    if source.storage.isNumeric && !plan.request.allowNonfinite { try checkFinite(source) }
    let placement = plan.layout.placements[placements[index][0]]
    let piece = 4 << 20
    var offset = 0
    while offset < bytes.count {
      guard let slice = bytes.slice(offset..<min(bytes.count, offset + piece)) else { return }
      try slice.withUnsafeBytes {
        try transaction.write(file: placement.file, offset: placement.offset + offset, bytes: $0)
      }
      offset += slice.count
      progress.advance("convert", by: slice.count)
    }
  }

  private func checkFinite(_ source: CheckpointTensor) throws {
    let columns = source.rowLength
    let tile = tileRows(rows: source.rowCount, columns: columns, multiple: 1)
    guard tile > 0 else { return }
    let found = Mutex<(index: Int, value: Float)?>(nil)
    parallel.forEachRange(source.rowCount, piece: tile) { rows in
      let values = [Float](unsafeUninitializedCapacity: rows.count * columns) { buffer, count in
        if let base = buffer.baseAddress { source.decode(rows: rows, into: base) }
        count = rows.count * columns
      }
      guard !VectorKernels.areFinite(values, count: values.count), let local = values.firstIndex(where: { !$0.isFinite }) else { return }
      let index = rows.lowerBound * columns + local
      found.withLock { if index < $0?.index ?? .max { $0 = (index, values[local]) } }
    }
    if let found = found.withLock({ $0 }) {
      throw TensorWriter.nonfinite(found.value, index: found.index, tensor: source.name, file: plan.source.path)
    }
  }

  static func nonfinite(_ value: Float, index: Int, tensor: String, file: String) -> Failure {
    Failure(
      .data, "data.nonfinite", "value \(index) is \(value)", file: file, tensor: tensor,
      remedy: "The checkpoint is damaged, or was saved after training diverged; --allow-nonfinite converts it all the same.")
  }
}
