import Synchronization

/// Encodes tensors and writes them at their planned places.
struct TensorWriter {
  private let plan: ConversionPlan
  private let transaction: OutputTransaction
  private let progress: any ProgressReporter
  private let parallel: Parallel
  /// Indices into the layout's placements, by tensor and part.
  private let placements: [[Int]]
  private let magnitudes: SharedMagnitudes

  init(plan: ConversionPlan, transaction: OutputTransaction, progress: any ProgressReporter) {
    self.plan = plan
    self.transaction = transaction
    self.progress = progress
    parallel = Parallel(threads: plan.request.threads)
    placements = plan.placementIndices
    magnitudes = SharedMagnitudes(plan)
  }

  /// Streams one tensor from the source, by the scheme's own rule.
  func stream(_ index: Int) throws -> ConversionReport.TensorReport {
    let clock = ContinuousClock()
    let start = clock.now
    let tensor = plan.tensors[index]
    var report = ConversionReport.TensorReport(name: tensor.name, scheme: tensor.scheme.name)
    report.relativeError = try stream(index, tensor)?.relativeError
    report.seconds = (clock.now - start).inSeconds
    return report
  }

  /// - Returns: nil where bytes were copied, or there are none.
  private func stream(_ index: Int, _ tensor: PlannedTensor) throws -> Written? {
    if let constant = tensor.constant {
      var offset = 0
      try put(constant, tensor: index, part: 0, at: &offset)
      return nil
    }
    guard let source = plan.source[tensor.sourceName] else {
      throw Failure(.internalError, "convert.source-lost", "a planned tensor is not in the source", tensor: tensor.sourceName)
    }
    if source.elementCount == 0 { return nil }
    if tensor.isCopy {
      try copy(index, source)
      return nil
    }
    if let adoption = tensor.adoption { return try repack(index, adoption) }
    guard tensor.isInPlace else { return try rearrange(index) }
    return try write(
      index, rows: source.rowCount, columns: source.rowLength, segments: Segment.plain(tensor, rows: source.rowCount)
    ) { source.decode(rows: $0, into: $1) }
  }

  /// Streams a tensor whose rows lie otherwise in the source, perhaps in several tensors.
  private func rearrange(_ index: Int) throws -> Written {
    let tensor = plan.tensors[index]
    let map = RowMap(tensor)
    let placed = try placed(tensor)
    if tensor.shape.count == 1 { return try writeVector(index, map.gather(placed.map { $0.vector() })) }
    let columns = tensor.shape.last ?? 1
    let rows = tensor.shape.dropLast().reduce(1, *)
    if tensor.pieces.contains(where: { $0.source.layout.isTransposed || $0.target.layout.isTransposed }) {
      // Rows that are columns elsewhere cannot be decoded one by one: these matrices are held whole.
      let matrices = placed.map { $0.matrix(parallel: parallel) }
      return try write(index, rows: rows, columns: columns, segments: Segment.plain(tensor, rows: rows)) {
        map.gather(matrices, rows: $0, columns: columns, into: $1)
      }
    }
    return try write(index, rows: rows, columns: columns, segments: Segment.plain(tensor, rows: rows)) {
      map.decode(placed, rows: $0, columns: columns, into: $1)
    }
  }

  /// Moves codes and parameters from the source's container into the output's.
  private func repack(_ index: Int, _ adoption: Adoption) throws -> Written {
    let tensor = plan.tensors[index]
    let rows = tensor.shape.dropLast().reduce(1, *), columns = tensor.shape.last ?? 1
    let repacker = try Repacker(tensor, adoption, source: plan.source, checksFinite: !plan.request.allowNonfinite)
    var offsets = [Int](repeating: 0, count: tensor.parts.count)
    var assembly = PartAssembly(tensor.parts)
    var squares = (error: 0.0, original: 0.0)
    var written = Written()
    let multiple = max(tensor.rowMultiple, repacker.rowMultiple)
    try inBatches(0..<rows, tile: tileRows(rows: rows, columns: columns, multiple: multiple)) {
      try repacker.encode($0)
    } consume: { output in
      squares.error += output.squaredError
      squares.original += output.squaredOriginal
      written.largestDeviation = max(written.largestDeviation ?? 0, output.largestDeviation)
      for (part, bytes) in output.parts.enumerated() where !bytes.isEmpty {
        try put(assembly.add(bytes, to: part), tensor: index, part: part, at: &offsets[part])
      }
    }
    try checkSizes(offsets, of: tensor)
    if squares.original > 0 { written.relativeError = (squares.error / squares.original).squareRoot() }
    return written
  }

  /// The tensors of the model that a tensor is made of, where the source holds them.
  private func placed(_ tensor: PlannedTensor) throws -> [PlacedTensor] {
    try tensor.pieces.map { piece in
      guard let stored = plan.source[piece.source.name] else {
        throw Failure(.internalError, "convert.source-lost", "a planned tensor is not in the source", tensor: piece.source.name)
      }
      return PlacedTensor(stored, piece.source.layout, shape: piece.shape)
    }
  }

  private func writeVector(_ index: Int, _ values: [Float]) throws -> Written {
    try write(index, rows: 1, columns: values.count) { _, destination in
      for c in values.indices { destination[c] = values[c] }
    }
  }

  /// What was written of one tensor.
  struct Written {
    /// ‖rounded − original‖ / ‖original‖, or nil for a tensor that is not quantized.
    var relativeError: Double?
    /// max |moved − original| of codes that were moved, or nil.
    var largestDeviation: Double?
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
    let map = RowMap(tensor)
    let written: Written
    if tensor.shape.count == 1 {
      var vectors = try tensor.pieces.map { try found(block.vectors[$0.id], $0) }
      let values = map.gather(vectors)
      written = try write(index, rows: 1, columns: values.count, keepsValues: replaces) { _, destination in
        for c in values.indices { destination[c] = values[c] }
      }
      if replaces {
        map.scatter(written.values, into: &vectors)
        for (piece, vector) in zip(tensor.pieces, vectors) { block.vectors[piece.id] = vector }
      }
    } else {
      var matrices = try tensor.pieces.map { try found(block.matrices[$0.id.layer], $0) }
      written = try write(index, matrices, of: block, map: map, methods: methods, keepsValues: replaces)
      if replaces {
        map.scatter(written.values, columns: tensor.shape.last ?? 1, into: &matrices)
        for (piece, matrix) in zip(tensor.pieces, matrices) { block.matrices[piece.id.layer] = matrix }
      }
    }
    report.relativeError = written.relativeError
    report.record = written.record
    report.seconds = (clock.now - start).inSeconds
    return report
  }

  private func found<Value>(_ value: Value?, _ piece: TensorPiece) throws(Failure) -> Value {
    guard let value else {
      throw Failure(.internalError, "convert.block-tensor", "the block was loaded without this tensor", tensor: piece.target.name)
    }
    return value
  }

  /// Writes one number that was found on calibration text.
  /// - Parameter bytes: nil where no token came to the place that it describes.
  /// - Throws: `Failure` `calibration.unseen` for nil.
  func write(_ index: Int, found bytes: [UInt8]?) throws -> ConversionReport.TensorReport {
    let tensor = plan.tensors[index]
    guard let bytes else {
      throw Failure(
        .data, "calibration.unseen", "too few tokens of the calibration text reach this layer to know its range", tensor: tensor.name,
        remedy: "Give more --calibration text, or --activations whose scales are computed while the model runs.")
    }
    var offset = 0
    try put(bytes, tensor: index, part: 0, at: &offset)
    return ConversionReport.TensorReport(name: tensor.name, scheme: tensor.scheme.name)
  }

  private func write(
    _ index: Int, _ matrices: [Matrix], of block: BlockWorkspace, map: RowMap, methods: [any QuantizationMethod], keepsValues: Bool
  ) throws -> Written {
    let tensor = plan.tensors[index]
    let columns = tensor.shape.last ?? 1
    let segments = tensor.segments(of: block.model.block).map { segment in
      Segment(rows: segment.rows, importance: block.importance[segment.piece.id.layer]) { scheme in
        try rounder(tensor, segment.piece.id, scheme, site: segment.site, block: block, methods: methods)
      }
    }
    let largest: (Int) -> Float = { index in
      plan.tensors[index].pieces.compactMap { block.matrices[$0.id.layer] }.map { VectorKernels.largestMagnitude($0.values) }.max() ?? 0
    }
    return try write(
      index, rows: tensor.shape.dropLast().reduce(1, *), columns: columns, map: map, keepsValues: keepsValues, segments: segments,
      largestMagnitude: largest
    ) { map.gather(matrices, rows: $0, columns: columns, into: $1) }
  }

  /// The rounder of the last method that has one for this tensor; nil where none has.
  private func rounder(
    _ tensor: PlannedTensor, _ id: TensorID, _ scheme: any Scheme, site: Site?, block: BlockWorkspace,
    methods: [any QuantizationMethod]
  ) throws -> (any Rounder)? {
    let statistics = site.flatMap { block.statistics[$0] }
    let task = RoundingTask(
      id: id, name: tensor.name, scheme: scheme, statistics: statistics, importance: block.importance[id.layer], parallel: parallel)
    for method in methods.reversed() {
      guard let rounder = try method.rounder(for: task) else { continue }
      if let fallback = rounder.record.fallback { progress.warn("\(tensor.name): \(fallback)") }
      return rounder
    }
    guard site != nil, statistics == nil, scheme.grid.kind != .float, methods.contains(where: { $0.roundsByStatistics }) else { return nil }
    let rounder = UncalibratedRounder(scheme: scheme, expert: id.expert, importance: task.importance)
    progress.warn("\(tensor.name): \(rounder.reason)")
    return rounder
  }

  // MARK: - Tiles

  /// Rows per piece of work: fixed by the shape, never by the number of threads.
  private func tileRows(rows: Int, columns: Int, multiple: Int) -> Int {
    let wanted = max(1, Converter.tileWeights / max(1, columns))
    return min(rows, max(multiple, wanted / multiple * multiple))
  }

  /// Rows of an output tensor that are rounded alike.
  private struct Segment {
    var rows: Range<Int>
    /// What errors in each column weigh for the scheme's own rule, or nil.
    var importance: [Float]?
    /// The rounder for a scheme that is fitted to the tensor, or nil.
    var rounder: (any Scheme) throws -> (any Rounder)? = { _ in nil }

    /// All rows by the scheme's own rule; in a stack of experts each may have an importance of its own.
    static func plain(_ tensor: PlannedTensor, rows: Int) -> [Segment] {
      let columns = max(1, tensor.shape.last ?? 1)
      guard let importance = tensor.importance, importance.count > columns else {
        return [Segment(rows: 0..<rows, importance: tensor.importance)]
      }
      let experts = importance.count / columns
      let length = rows / experts
      return (0..<experts).map {
        Segment(rows: $0 * length..<($0 + 1) * length, importance: Array(importance[$0 * columns..<($0 + 1) * columns]))
      }
    }
  }

  /// - Parameters:
  ///   - segments: of the rows, in their order; nil: all rows are encoded by the scheme itself.
  ///   - largestMagnitude: of a planned tensor that may share a parameter with this one; nil: as the source holds it.
  private func write(
    _ index: Int, rows: Int, columns: Int, map: RowMap? = nil, keepsValues: Bool = false, segments: [Segment]? = nil,
    largestMagnitude: ((Int) -> Float)? = nil, load: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) throws -> Written {
    var tensor = plan.tensors[index]
    let tile = tileRows(rows: rows, columns: columns, multiple: tensor.rowMultiple)
    if tensor.scheme.sharing != nil {
      let largest = try magnitudes.value(for: index) { other in
        if other == index { return self.largestMagnitude(rows: rows, columns: columns, piece: tile, load: load) }
        return try largestMagnitude?(other) ?? self.largestMagnitude(stored: other)
      }
      tensor.scheme = tensor.scheme.fitted(largestMagnitude: largest)
    }
    var written = Written()
    var offsets = [Int](repeating: 0, count: tensor.parts.count)
    var assembly = PartAssembly(tensor.parts)
    var squares = (error: 0.0, original: 0.0)
    for segment in segments ?? [Segment(rows: 0..<rows)] {
      let rounder = try segment.rounder(tensor.scheme)
      if let record = rounder?.record { written.record.add(record) }
      let encoder = TileEncoder(
        tensor: tensor, columns: columns, rounder: rounder, importance: segment.importance, map: map,
        checksFinite: !plan.request.allowNonfinite, keepsValues: keepsValues, file: plan.source.path, load: load)
      try inBatches(segment.rows, tile: tile) {
        try encoder.encode($0)
      } consume: { output in
        squares.error += output.squaredError
        squares.original += output.squaredOriginal
        written.values += output.values
        for (part, bytes) in output.parts.enumerated() where !bytes.isEmpty {
          try put(assembly.add(bytes, to: part), tensor: index, part: part, at: &offsets[part])
        }
      }
    }
    try checkSizes(offsets, of: tensor)
    if squares.original > 0 { written.relativeError = (squares.error / squares.original).squareRoot() }
    return written
  }

  private func checkSizes(_ made: [Int], of tensor: PlannedTensor) throws(Failure) {
    for (part, size) in made.enumerated() where size != tensor.parts[part].byteCount {
      throw Failure(
        .internalError, "convert.size", "\(size) bytes were made where the plan says \(tensor.parts[part].byteCount)",
        tensor: tensor.parts[part].name)
    }
  }

  /// Makes the output of rows in tiles, and hands the results on in their order.
  private func inBatches<Output: Sendable>(
    _ rows: Range<Int>, tile: Int, encode: @escaping @Sendable (Range<Int>) throws -> Output, consume: (Output) throws -> Void
  ) throws {
    // A few tiles at a time: enough for all threads, and the bytes in flight stay bounded.
    let batch = max(1, parallel.threads * 2)
    var next = rows.lowerBound
    while next < rows.upperBound {
      let starts = (0..<batch).map { next + $0 * tile }.filter { $0 < rows.upperBound }
      let results = Mutex([Result<Output, any Error>?](repeating: nil, count: starts.count))
      parallel.forEach(starts.count) { i in
        let outcome = Result { try encode(starts[i]..<min(rows.upperBound, starts[i] + tile)) }
        results.withLock { $0[i] = outcome }
      }
      for result in results.withLock({ $0 }) {
        if let output = try result?.get() { try consume(output) }
      }
      next += starts.count * tile
    }
  }

  /// The same for a tensor as the source holds it.
  private func largestMagnitude(stored index: Int) throws -> Float {
    try placed(plan.tensors[index]).map { placed in
      let rows = placed.shape.dropLast().reduce(1, *), columns = placed.shape.last ?? 1
      return largestMagnitude(rows: rows, columns: columns, piece: tileRows(rows: rows, columns: columns, multiple: 1)) {
        placed.decode(rows: $0, into: $1)
      }
    }.max() ?? 0
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
      let found = VectorKernels.largestMagnitude(values)
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
