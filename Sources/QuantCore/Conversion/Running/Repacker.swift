/// Repacks rows of codes and parameters from the source's packing into the output's. Called from several threads.
struct Repacker: Sendable {
  struct Output: Sendable {
    /// Bytes per part.
    var parts: [[UInt8]]
    /// Σ (repacked − original)².
    var squaredError = 0.0
    var squaredOriginal = 0.0
    /// max |repacked − original|.
    var largestDeviation = 0.0
  }

  private let tensor: PlannedTensor
  private let repacking: Repacking
  private let stored: any Scheme
  /// One per piece; one for a tensor that is in place.
  private let storages: [any QuantizedStorage]
  private let map: RowMap
  private let checksFinite: Bool
  /// Path of the source, for messages.
  private let file: String

  /// - Throws: `Failure` of kind internal if the plan asks for codes that the source does not have.
  init(_ tensor: PlannedTensor, _ repacking: Repacking, source: Checkpoint, checksFinite: Bool) throws(Failure) {
    self.tensor = tensor
    self.checksFinite = checksFinite
    file = source.path
    self.repacking = repacking
    let names = tensor.isInPlace ? [tensor.sourceName] : tensor.pieces.map { $0.source.name }
    let storages = names.compactMap { source[$0]?.storage.codes }
    guard storages.count == names.count, let first = storages.first else {
      throw Failure(.internalError, "convert.source-lost", "a planned tensor has no codes in the source", tensor: tensor.sourceName)
    }
    self.storages = storages
    stored = first.scheme
    map = RowMap(tensor)
  }

  /// Rows that a piece of work must be a multiple of, so that no tile of the source is cut.
  var rowMultiple: Int { stored.grid.tileRows ?? 1 }

  /// - Throws: `Failure` `scale.nonfinite` or `data.nonfinite` for values that are not finite, and of kind internal if values change
  ///   that the plan keeps exactly.
  func encode(_ rows: Range<Int>) throws(Failure) -> Output {
    let columns = tensor.shape.last ?? 1
    let panel = tensor.isInPlace ? storages[0].panel(rows: rows, rowLength: columns) : gathered(rows, columns)
    if checksFinite { try checkScales(panel, rows) }
    let moved = repacking.translate(panel)
    var output = Output(parts: tensor.packing.pack(moved, rows: rows, of: tensor.shape, scheme: tensor.scheme))
    let original = stored.values(panel), values = tensor.scheme.values(moved)
    if checksFinite, let index = original.firstIndex(where: { !$0.isFinite }) {
      let place = rows.lowerBound * columns + index
      throw TensorWriter.nonfinite(original[index], index: place, columns: columns, tensor: tensor.sourceName, file: file)
    }
    for (value, original) in zip(values, original) {
      let deviation = Double(value) - Double(original)
      output.squaredError += deviation * deviation
      output.squaredOriginal += Double(original) * Double(original)
      output.largestDeviation = max(output.largestDeviation, abs(deviation))
    }
    if repacking.fidelity == .exact, !(output.largestDeviation == 0) {
      throw Failure(
        .internalError, "convert.moved-values", "codes repacked from \(stored.name) to \(tensor.scheme.name) mean other values",
        tensor: tensor.name)
    }
    return output
  }

  /// Refuses to repack scales that are not finite.
  private func checkScales(_ panel: QuantizedPanel, _ rows: Range<Int>) throws(Failure) {
    guard let index = panel.parameters.firstIndex(where: { !$0.isFinite }) else { return }
    let (line, group) = (index / max(1, panel.parameterCount)).quotientAndRemainder(dividingBy: max(1, panel.groupsPerRow))
    throw Failure(
      .data, "scale.nonfinite", "the scale of row \(rows.lowerBound + line * panel.tileRows), group \(group) is \(panel.parameters[index])",
      file: file, tensor: tensor.sourceName,
      remedy: "Give an undamaged checkpoint, or \(setting: "allow-nonfinite") to convert it anyway.")
  }

  /// Rows that have other places in the source; rows that are adjacent there are read together.
  private func gathered(_ rows: Range<Int>, _ columns: Int) -> QuantizedPanel {
    var panel = stored.emptyPanel(rows: rows.count, columns: columns)
    let parametersPerRow = panel.groupsPerRow * panel.parameterCount
    map.forEachRun(rows) { piece, sourceRows, outputRow in
      let part = storages[piece].panel(rows: sourceRows, rowLength: columns)
      let row = outputRow - rows.lowerBound
      panel.codes.replaceSubrange(row * columns..<(row + sourceRows.count) * columns, with: part.codes)
      panel.parameters.replaceSubrange(
        row * parametersPerRow..<(row + sourceRows.count) * parametersPerRow, with: part.parameters)
    }
    return panel
  }
}
