/// A tensor as it will be read from the output: each row decoded, then rounded.
struct RoundedStorage: TensorStorage {
  let original: any TensorStorage
  let scheme: any Scheme
  /// Nil: the scheme's own rule rounds.
  var rounder: (any Rounder)?

  var schemeName: String { original.schemeName }
  var byteCount: Int { original.byteCount }
  var isNumeric: Bool { original.isNumeric }
  var verbatim: ByteView? { nil }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    original.decode(rows: rows, rowLength: rowLength, into: destination)
    let panel = Panel(base: destination, rows: rows.count, columns: rowLength, rowStride: rowLength)
    guard let rounder else {
      let rounded = scheme.roundTrip(panel)
      destination.update(from: rounded, count: rounded.count)
      return
    }
    var quantized = scheme.emptyPanel(rows: rows.count, columns: rowLength)
    rounder.round(panel, rows: Array(rows), into: &quantized)
    scheme.value(quantized, columns: 0..<rowLength, into: destination)
  }
}

extension ConversionPlan {
  /// The source with the rounded embedding of the output, if rows are rounded one by one: in the quantized stream the first
  /// block already sees its errors.
  /// - Parameter statistics: what errors in it cost; nil: unknown.
  func sourceWithRoundedEmbedding(_ statistics: SiteStatistics?) throws -> Checkpoint {
    var result = source
    for planned in tensors where [TensorID(.tokenEmbedding), TensorID(.blockEmbedding)].contains(planned.id) {
      guard planned.scheme.grid.kind != .float, planned.scheme.grid.tileRows == 1, planned.scheme.sharedScale == nil else { continue }
      try round(planned, planned.id == TensorID(.tokenEmbedding) ? statistics : nil, in: &result)
    }
    return result
  }

  private func round(_ planned: PlannedTensor, _ statistics: SiteStatistics?, in checkpoint: inout Checkpoint) throws {
    let task = RoundingTask(
      id: planned.id, name: planned.name, scheme: planned.scheme, statistics: statistics, importance: planned.importance,
      parallel: Parallel(threads: request.threads))
    let rounder = try methods.rounder(for: task)
    checkpoint.replaceStorage { tensor in
      let isMeant = tensor.name == planned.sourceName && planned.scheme.fits(columns: tensor.rowLength)
      return isMeant ? RoundedStorage(original: tensor.storage, scheme: planned.scheme, rounder: rounder) : tensor.storage
    }
  }
}
