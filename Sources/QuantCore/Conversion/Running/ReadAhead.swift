import Synchronization

/// Asks the system to read stored bytes shortly before they are decoded, in the order in which the plan's tensors are written: the
/// disk works while the processor does.
final class ReadAhead: Sendable {
  /// How many bytes are asked for in advance, and how many at a time.
  private static let distance = 32 << 20
  private static let piece = 4 << 20

  /// Stored bytes of each planned tensor, if they are contiguous.
  private let views: [[ByteView]]
  /// Where the bytes of each tensor begin in the sequence of all.
  private let starts: [Int]
  private let place = Mutex(Place())

  /// The next bytes to be asked for.
  private struct Place {
    var tensor = 0
    var view = 0
    var offset = 0
    /// Count of all bytes before it.
    var done = 0
  }

  init(_ plan: ConversionPlan) {
    views = plan.tensors.map { tensor in
      let names = tensor.constant != nil ? [] : tensor.isInPlace ? [tensor.sourceName] : tensor.pieces.map { $0.source.name }
      return names.compactMap { plan.source[$0]?.storage.verbatim }
    }
    var start = 0
    starts = views.map { views in
      defer { start += views.reduce(0) { $0 + $1.count } }
      return start
    }
  }

  /// Called when a tensor is about to be used from a row on.
  func reached(_ tensor: Int, row: Int, of rows: Int) {
    let count = views[tensor].reduce(0) { $0 + $1.count }
    let position = starts[tensor] + Int(Double(count) * Double(row) / Double(max(1, rows)))
    while let next = next(before: position + ReadAhead.distance, after: position) { next.willNeed() }
  }

  /// The next piece that begins before `end`, or nil if all of them have been asked for. Pieces that end before `position` are skipped.
  private func next(before end: Int, after position: Int) -> ByteView? {
    place.withLock { place in
      while place.tensor < views.count, place.done < end {
        guard place.view < views[place.tensor].count else {
          (place.tensor, place.view, place.offset) = (place.tensor + 1, 0, 0)
          continue
        }
        let view = views[place.tensor][place.view]
        let length = min(ReadAhead.piece, view.count - place.offset)
        let piece = view.slice(place.offset..<place.offset + length)
        place.offset += length
        place.done += length
        if place.offset == view.count { (place.view, place.offset) = (place.view + 1, 0) }
        if length > 0, place.done > position { return piece }
      }
      return nil
    }
  }
}
