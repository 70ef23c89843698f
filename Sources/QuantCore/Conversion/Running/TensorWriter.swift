/// Encodes tensors and writes them at their planned offsets.
struct TensorWriter {
  let plan: ConversionPlan
  let transaction: OutputTransaction
  let progress: any ProgressReporter
  let parallel: Parallel
  /// Indices into the layout's placements, by tensor and part.
  let placements: [[Int]]
  /// Indices of the tensors that correct others, by index of the corrected tensor.
  let corrections: [Int: [Int]]
  let magnitudes: SharedMagnitudes
  let fallbacks: RepeatedWarnings
  let buffers = TileBuffers()
  let readAhead: ReadAhead
  /// What is known about the inputs of tensors outside of the blocks, by index.
  var outerStatistics: [Int: SiteStatistics] = [:]

  init(plan: ConversionPlan, transaction: OutputTransaction, progress: any ProgressReporter) {
    self.plan = plan
    self.transaction = transaction
    self.progress = progress
    fallbacks = RepeatedWarnings(progress)
    parallel = Parallel(threads: plan.request.threads)
    placements = plan.placementIndices
    corrections = plan.corrections
    magnitudes = SharedMagnitudes(plan)
    readAhead = ReadAhead(plan)
  }

  /// A tensor that was written, and those that correct it.
  typealias Reports = [(index: Int, report: ConversionReport.TensorReport)]

  /// Streams one tensor from the source, and stores what corrects it.
  func stream(_ index: Int) throws -> Reports {
    let clock = ContinuousClock()
    let start = clock.now
    let tensor = plan.tensors[index]
    var report = ConversionReport.TensorReport(name: tensor.name, scheme: tensor.scheme.name)
    let written = try stream(index, tensor)
    if let written {
      report.relativeError = written.relativeError
      report.record = written.record
    }
    report.seconds = (clock.now - start).inSeconds
    return [(index, report)] + (written?.corrections ?? [])
  }

  /// - Returns: nil if bytes were copied, or there are none.
  private func stream(_ index: Int, _ tensor: PlannedTensor) throws -> Written? {
    if let constant = tensor.constant {
      var written = 0
      try put([PartAssembly.Slab(bytes: constant, offset: 0)], tensor: index, part: 0, at: &written)
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
    if let repacking = tensor.repacking { return try repack(index, repacking) }
    guard tensor.isInPlace else { return try rearrange(index) }
    // Only rounders ask for the model's rows.
    let isPermuted = plan.methods.haveRounders && tensor.pieces.contains { $0.target.layout != RowLayout() }
    return try write(
      index, rows: source.rowCount, columns: source.rowLength, map: isPermuted ? RowMap(tensor) : nil,
      segments: streamed(index, rows: source.rowCount)
    ) { source.decode(rows: $0, into: $1) }
  }

  /// Streams a tensor whose rows have other places in the source, perhaps in several tensors.
  private func rearrange(_ index: Int) throws -> Written {
    let tensor = plan.tensors[index]
    let map = RowMap(tensor)
    let placed = try placed(tensor)
    if tensor.isVector { return try writeVector(index, map.gather(placed.map { $0.vector() })) }
    let columns = tensor.shape.last ?? 1
    let rows = tensor.shape.dropLast().reduce(1, *)
    if let turned = try TurnedStack(tensor, plan.source) {
      return try write(index, rows: rows, columns: columns, map: map, segments: streamed(index, rows: rows)) {
        turned.decode(rows: $0, into: $1)
      }
    }
    if tensor.pieces.contains(where: { $0.source.layout.isTransposed || $0.target.layout.isTransposed }) {
      // Rows that are columns in the source cannot be decoded one by one: these matrices are held whole.
      let matrices = placed.map { $0.matrix(parallel: parallel) }
      return try write(index, rows: rows, columns: columns, map: map, segments: streamed(index, rows: rows)) {
        map.gather(matrices, rows: $0, columns: columns, into: $1)
      }
    }
    return try write(index, rows: rows, columns: columns, map: map, segments: streamed(index, rows: rows)) {
      map.decode(placed, rows: $0, columns: columns, into: $1)
    }
  }

  /// Repacks codes and parameters from the source's packing into the output's.
  private func repack(_ index: Int, _ repacking: Repacking) throws -> Written {
    let tensor = plan.tensors[index]
    let rows = tensor.shape.dropLast().reduce(1, *), columns = tensor.shape.last ?? 1
    let repacker = try Repacker(tensor, repacking, source: plan.source, checksFinite: !plan.request.allowNonfinite)
    var offsets = [Int](repeating: 0, count: tensor.parts.count)
    var assembly = PartAssembly(tensor.parts)
    var squares = (error: 0.0, original: 0.0)
    var written = Written()
    let multiple = max(tensor.rowMultiple, repacker.rowMultiple)
    try inTiles(index, 0..<rows, of: rows, tile: tileRows(rows: rows, columns: columns, multiple: multiple)) {
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

  /// The tensors of the model that a tensor is made of, at their places in the source.
  func placed(_ tensor: PlannedTensor) throws -> [PlacedTensor] {
    try tensor.pieces.map { piece in
      guard let stored = plan.source[piece.source.name] else {
        throw Failure(.internalError, "convert.source-lost", "a planned tensor is not in the source", tensor: piece.source.name)
      }
      return try PlacedTensor(stored, at: piece.source, shape: piece.shape, file: plan.source.path)
    }
  }

  private func writeVector(_ index: Int, _ values: [Float], keepsValues: Bool = false) throws -> Written {
    let columns = plan.tensors[index].shape.last ?? 1
    return try write(index, rows: values.count / max(1, columns), columns: columns, keepsValues: keepsValues) { rows, destination in
      for i in 0..<rows.count * columns { destination[i] = values[rows.lowerBound * columns + i] }
    }
  }

  /// What was written of one tensor.
  struct Written {
    /// ‖rounded − original‖ / ‖original‖, or nil for a tensor that is not quantized.
    var relativeError: Double?
    /// max |repacked − original| of codes that were repacked, or nil.
    var largestDeviation: Double?
    /// What the method that rounded it reports.
    var record = RoundingRecord()
    /// What clients compute with, in the output's order: what the written codes mean, corrected; empty unless asked for.
    var values: [Float] = []
    /// The tensors that correct it.
    var corrections: Reports = []
  }

  /// Writes one tensor of a block, rounded by the last method that rounds it.
  /// - Parameter replaces: whether the block's weights are replaced by what the written codes mean.
  func write(_ index: Int, from block: inout BlockWorkspace, replaces: Bool) throws -> Reports {
    let clock = ContinuousClock()
    let start = clock.now
    let tensor = plan.tensors[index]
    var report = ConversionReport.TensorReport(name: tensor.name, scheme: tensor.scheme.name)
    let map = RowMap(tensor)
    let written: Written
    if tensor.isVector {
      var vectors = try tensor.pieces.map { try found(block.vectors[$0.id], $0) }
      let values = map.gather(vectors)
      written = try writeVector(index, values, keepsValues: replaces)
      if replaces {
        map.scatter(written.values, into: &vectors)
        for (piece, vector) in zip(tensor.pieces, vectors) { block.vectors[piece.id] = vector }
      }
    } else {
      var matrices = try tensor.pieces.map { try found(block.matrices[$0.id.layer], $0) }
      written = try write(index, matrices, of: block, map: map, keepsValues: replaces)
      if replaces {
        map.scatter(written.values, columns: tensor.shape.last ?? 1, into: &matrices)
        for (piece, matrix) in zip(tensor.pieces, matrices) { block.matrices[piece.id.layer] = matrix }
      }
    }
    report.relativeError = written.relativeError
    report.record = written.record
    report.expertTokens = tensor.isVector ? [] : tensor.pieces.compactMap { block.tokens(reaching: $0.id.layer) }
    report.seconds = (clock.now - start).inSeconds
    return [(index, report)] + written.corrections
  }

  private func found<Value>(_ value: Value?, _ piece: TensorPiece) throws(Failure) -> Value {
    guard let value else {
      throw Failure(.internalError, "convert.block-tensor", "the block was loaded without this tensor", tensor: piece.target.name)
    }
    return value
  }

  /// Writes one value that calibration found.
  /// - Parameter bytes: nil if too few tokens reached the site that it describes.
  /// - Throws: `Failure` `calibration.unseen` for nil.
  func write(_ index: Int, found bytes: [UInt8]?) throws -> ConversionReport.TensorReport {
    let tensor = plan.tensors[index]
    guard let bytes else {
      throw Failure(
        .data, "calibration.unseen", "too few tokens of the calibration text reach this layer to find its range", tensor: tensor.name,
        remedy:
          "Give more \(setting: "calibration") text, or an \(setting: "activations") scheme whose scales are computed while the model runs."
      )
    }
    var written = 0
    try put([PartAssembly.Slab(bytes: bytes, offset: 0)], tensor: index, part: 0, at: &written)
    return ConversionReport.TensorReport(name: tensor.name, scheme: tensor.scheme.name)
  }

  private func write(
    _ index: Int, _ matrices: [Matrix], of block: BlockWorkspace, map: RowMap, keepsValues: Bool
  ) throws -> Written {
    let tensor = plan.tensors[index]
    let columns = tensor.shape.last ?? 1
    let segments = observed(tensor, of: block)
    let largest: (Int) -> Float = { index in
      plan.tensors[index].pieces.compactMap { block.matrices[$0.id.layer] }.map { VectorKernels.largestMagnitude($0.values) }.max() ?? 0
    }
    return try write(
      index, rows: tensor.shape.dropLast().reduce(1, *), columns: columns, map: map, keepsValues: keepsValues, segments: segments,
      largestMagnitude: largest
    ) { map.gather(matrices, rows: $0, columns: columns, into: $1) }
  }

  // MARK: - Copies

  private func copy(_ index: Int, _ source: CheckpointTensor) throws {
    guard let bytes = source.storage.verbatim else { return }
    let isChecked = source.storage.isNumeric && !plan.request.allowNonfinite
    let rows = source.rowCount
    // Rows of codes smaller than a byte may end in the middle of one: the tensor is then copied as a whole.
    let tile = bytes.count.isMultiple(of: rows) ? tileRows(rows: rows, columns: source.rowLength, multiple: 1) : rows
    let placement = plan.layout.placements[placements[index][0]]
    try inTiles(index, 0..<rows, of: rows, tile: tile) { rows in
      if isChecked { try checkFinite(source, rows) }
      return rows
    } consume: { tile in
      let bytesPerRow = bytes.count / rows
      let start = tile.lowerBound * bytesPerRow, end = tile.upperBound == rows ? bytes.count : tile.upperBound * bytesPerRow
      try bytes.slice(start..<end)?.withUnsafeBytes {
        try transaction.write(file: placement.file, offset: placement.offset + start, bytes: $0)
      }
      progress.advance("convert", by: end - start)
    }
  }

  private func checkFinite(_ source: CheckpointTensor, _ rows: Range<Int>) throws {
    let columns = source.rowLength
    let bad: (index: Int, value: Float)? = withValues(rows, columns, source.decode) { values in
      guard let base = values.baseAddress, !VectorKernels.areFinite(base, count: values.count) else { return nil }
      return values.firstIndex { !$0.isFinite }.map { ($0, values[$0]) }
    }
    if let bad {
      throw TensorWriter.nonfinite(
        bad.value, index: rows.lowerBound * columns + bad.index, columns: columns, tensor: source.name, file: plan.source.path)
    }
  }
}
