/// A tensor as it will be read from the output: each row decoded, then rounded by a scheme's rule.
struct RoundedStorage: TensorStorage {
  let original: any TensorStorage
  let scheme: any Scheme

  var schemeName: String { original.schemeName }
  var byteCount: Int { original.byteCount }
  var isNumeric: Bool { original.isNumeric }
  var verbatim: ByteView? { nil }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    original.decode(rows: rows, rowLength: rowLength, into: destination)
    let panel = Panel(base: destination, rows: rows.count, columns: rowLength, rowStride: rowLength)
    let rounded = scheme.roundTrip(panel)
    destination.update(from: rounded, count: rounded.count)
  }
}

extension ConversionPlan {
  /// The source with the embedding that the output will have, where rows are rounded one by one: in the quantized stream the
  /// first block already sees its errors.
  var sourceWithRoundedEmbedding: Checkpoint {
    guard let planned = tensors.first(where: { $0.id == TensorID(.tokenEmbedding) }), planned.scheme.grid.kind != .float,
      planned.scheme.grid.tileRows == 1, planned.scheme.sharing == nil
    else { return source }
    var result = source
    result.replaceStorage { tensor in
      let isMeant = tensor.name == planned.sourceName && planned.scheme.fits(columns: tensor.rowLength)
      return isMeant ? RoundedStorage(original: tensor.storage, scheme: planned.scheme) : tensor.storage
    }
    return result
  }
}
