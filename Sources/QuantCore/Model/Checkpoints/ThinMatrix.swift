/// One of the two thin matrices whose product a low-rank adapter adds to a weight: `rank` values for each of its channels, decoded
/// from the adapter's tensors.
public struct ThinMatrix: Sendable {
  /// The stored tensor: one matrix, or several of one shape in a stack.
  private let stored: CheckpointTensor
  /// Whether a stored row holds one of the ranks of all channels (`[rank, channels]`), not all ranks of a channel.
  private let ranksFirst: Bool
  /// Stored rows before the matrix.
  private let firstRow: Int
  /// Channels: outputs or inputs of the weight, or rows of an embedding.
  public private(set) var channelCount: Int
  public let rank: Int
  /// The stored channel for each channel; nil: the same order.
  private var order: [Int]?

  /// - Parameters:
  ///   - stored: of two or three dimensions.
  ///   - ranksFirst: whether the channels are its last dimension.
  ///   - index: index of the matrix in a stack.
  public init(_ stored: CheckpointTensor, ranksFirst: Bool, index: Int = 0) {
    self.stored = stored
    self.ranksFirst = ranksFirst
    let rows = stored.shape.dropLast().last ?? 1
    firstRow = index * rows
    channelCount = ranksFirst ? stored.rowLength : rows
    rank = ranksFirst ? rows : stored.rowLength
  }

  /// The same matrix with only some channels, or with channels in another order.
  /// - Parameter channels: indices of channels of this matrix.
  package func taking(_ channels: [Int]) -> ThinMatrix {
    var copy = self
    copy.channelCount = channels.count
    copy.order = channels.map { order?[$0] ?? $0 }
    return copy
  }

  /// The ranks of some channels, `[channels.count, rank]`.
  package func values(channels: Range<Int>) -> [Float] {
    var values = [Float](repeating: 0, count: channels.count * rank)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      if !ranksFirst, order == nil {
        stored.decode(rows: firstRow + channels.lowerBound..<firstRow + channels.upperBound, into: base)
      } else if !ranksFirst {
        for (place, channel) in channels.enumerated() {
          let row = firstRow + storedChannel(channel)
          stored.decode(rows: row..<row + 1, into: base + place * rank)
        }
      } else {
        for index in 0..<rank {
          for (place, value) in self.values(rank: index, channels: channels).enumerated() { base[place * rank + index] = value }
        }
      }
    }
    return values
  }

  /// One rank of all channels.
  package func values(rank index: Int) -> [Float] { values(rank: index, channels: 0..<channelCount) }

  /// All ranks of all channels, `[rank, channelCount]`.
  package func ranks() -> [Float] {
    if ranksFirst, order == nil {
      var values = [Float](repeating: 0, count: rank * channelCount)
      values.withUnsafeMutableBufferPointer { buffer in
        if let base = buffer.baseAddress { stored.decode(rows: firstRow..<firstRow + rank, into: base) }
      }
      return values
    }
    let byChannel = values(channels: 0..<channelCount)
    var values = [Float](repeating: 0, count: byChannel.count)
    for channel in 0..<channelCount {
      for index in 0..<rank { values[index * channelCount + channel] = byChannel[channel * rank + index] }
    }
    return values
  }

  private func values(rank index: Int, channels: Range<Int>) -> [Float] {
    guard ranksFirst else {
      let byChannel = values(channels: channels)
      return channels.indices.map { byChannel[($0 - channels.lowerBound) * rank + index] }
    }
    let row = firstRow + index
    if order == nil, stored.storage is PlainStorage {
      // Plain values are contiguous, so some columns of a row are some rows of a matrix with one column.
      var values = [Float](repeating: 0, count: channels.count)
      let start = row * stored.rowLength
      values.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        stored.storage.decode(rows: start + channels.lowerBound..<start + channels.upperBound, rowLength: 1, into: base)
      }
      return values
    }
    var whole = [Float](repeating: 0, count: stored.rowLength)
    whole.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { stored.decode(rows: row..<row + 1, into: base) }
    }
    return channels.map { whole[storedChannel($0)] }
  }

  private func storedChannel(_ channel: Int) -> Int { order?[channel] ?? channel }

  /// The stored tensor, if it is exactly this matrix in this orientation; else nil.
  func verbatim(ranksFirst wanted: Bool) -> CheckpointTensor? {
    order == nil && stored.shape.count == 2 && wanted == ranksFirst ? stored : nil
  }

  /// Name of the type that its values are stored in.
  var schemeName: String { stored.storage.schemeName }
}
