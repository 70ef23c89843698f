extension TensorWriter {
  /// Rows per piece of work: fixed by the shape, never by the number of threads.
  func tileRows(rows: Int, columns: Int, multiple: Int) -> Int {
    let wanted = max(1, TileSize.weights / max(1, columns))
    return min(rows, max(multiple, wanted / multiple * multiple))
  }

  /// - Parameters:
  ///   - segments: of the rows, in order; nil: all rows are encoded by the scheme itself.
  ///   - largestMagnitude: that of a planned tensor that may share a parameter with this one; nil: that of the source's tensor.
  func write(
    _ index: Int, rows: Int, columns: Int, map: RowMap? = nil, keepsValues: Bool = false, segments: [Segment]? = nil,
    largestMagnitude: ((Int) -> Float)? = nil, load weights: @escaping @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) throws -> Written {
    var tensor = plan.tensors[index]
    let load = try anticipated(index, segments: segments ?? [], load: weights) ?? weights
    let tile = tileRows(rows: rows, columns: columns, multiple: tensor.rowMultiple)
    if let scheme = tensor.scheme.sharedScale {
      let largest = try magnitudes.value(for: index) { other in
        if other == index { return self.largestMagnitude(rows: rows, columns: columns, piece: tile, load: load) }
        return try largestMagnitude?(other) ?? self.largestMagnitude(stored: other)
      }
      tensor.scheme = scheme.fitted(largestMagnitude: largest)
    }
    var nesting = tensor.scheme.nesting
    if let scheme = nesting {
      let length = scheme.groupLength(columns: columns)
      let fitted = scheme.fitted(tileMagnitudes: try tileMagnitudes(index, rows, columns, length: length, piece: tile, load: load))
      tensor.scheme = fitted
      nesting = fitted
    }
    var written = Written()
    var offsets = [Int](repeating: 0, count: tensor.parts.count)
    var assembly = PartAssembly(tensor.parts)
    var squares = (error: 0.0, original: 0.0)
    for segment in segments ?? [Segment(rows: 0..<rows)] {
      let rounder = try tensor.latticeType.map { LatticeRounder(tensor.scheme, $0, segment.importance) } ?? segment.rounder(tensor.scheme)
      if let record = rounder?.record { written.record.add(record) }
      let encoder = TileEncoder(
        tensor: tensor, nesting: nesting, columns: columns, rounder: rounder, importance: segment.importance, map: map,
        firstRow: segment.rows.lowerBound, checksFinite: !plan.request.allowNonfinite,
        keepsValues: keepsValues || corrections[index] != nil, file: plan.source.path, buffers: buffers, load: load)
      try inTiles(index, segment.rows, of: rows, tile: tile) {
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
    try correct(&written, of: index, segments: segments ?? [], load: weights)
    return written
  }

  func checkSizes(_ made: [Int], of tensor: PlannedTensor) throws(Failure) {
    for (part, size) in made.enumerated() where size != tensor.parts[part].byteCount {
      throw Failure(
        .internalError, "convert.size", "\(size) bytes were made, but the plan says \(tensor.parts[part].byteCount)",
        tensor: tensor.parts[part].name)
    }
  }

  /// Encodes rows in tiles, and passes on the results in order.
  func inTiles<Output: Sendable>(
    _ index: Int, _ rows: Range<Int>, of all: Int, tile: Int, encode: @escaping @Sendable (Range<Int>) throws -> Output,
    consume: (Output) throws -> Void
  ) throws {
    let columns = plan.tensors[index].shape.last ?? 1
    let threads = TileSize.threads(parallel.threads, tileWeights: tile * columns)
    try Parallel(threads: threads).inOrder((rows.count + tile - 1) / tile) { piece in
      let start = rows.lowerBound + piece * tile
      readAhead.reached(index, row: start, of: all)
      return try encode(start..<min(rows.upperBound, start + tile))
    } consume: {
      try consume($0)
    }
  }

  /// Decodes rows into a buffer and calls `body` with them.
  func withValues<Result>(
    _ rows: Range<Int>, _ columns: Int, _ load: (Range<Int>, UnsafeMutablePointer<Float>) -> Void,
    _ body: (UnsafeBufferPointer<Float>) -> Result
  ) -> Result {
    buffers.withBuffer { buffer in
      buffer.reserve(rows.count * columns)
      return buffer.values.withUnsafeMutableBufferPointer { values in
        if let base = values.baseAddress { load(rows, base) }
        return body(UnsafeBufferPointer(rebasing: values[0..<rows.count * columns]))
      }
    }
  }

  /// Writes the encoded bytes of some rows.
  func put(_ slabs: [PartAssembly.Slab], tensor: Int, part: Int, at written: inout Int) throws {
    for slab in slabs {
      let placement = plan.layout.placements[placements[tensor][part]]
      try slab.bytes.withUnsafeBytes {
        if slab.lines == 1 {
          try transaction.write(file: placement.file, offset: placement.offset + slab.offset, bytes: $0)
        } else {
          try transaction.write(
            file: placement.file, offset: placement.offset + slab.offset, lines: slab.lines, stride: slab.stride, bytes: $0)
        }
      }
      written += slab.bytes.count
      progress.advance("convert", by: slab.bytes.count)
    }
  }
}
