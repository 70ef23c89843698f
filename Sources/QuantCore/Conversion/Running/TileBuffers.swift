import Synchronization

/// Reusable buffers for tiles: the system clears newly allocated memory page by page, which takes longer than rounding what is
/// put there.
final class TileBuffers: Sendable {
  struct Buffer: Sendable {
    /// The weights of a tile, and the values that its codes mean.
    var values: [Float] = []
    var numbers: [Float] = []
    /// Codes and parameters of the last tile.
    var quantized: QuantizedPanel?

    /// Makes room for a tile of `count` weights; the contents are undefined.
    mutating func reserve(_ count: Int) {
      guard values.isEmpty || values.count < count else { return }
      let count = max(1, count)
      self = Buffer()
      values = Buffer.uninitialized(count)
      numbers = Buffer.uninitialized(count)
    }

    private static func uninitialized(_ count: Int) -> [Float] {
      [Float](unsafeUninitializedCapacity: count) { _, initialized in initialized = count }
    }
  }

  private let free = Mutex<[Buffer]>([])

  /// Calls `body` with a buffer that nothing else uses meanwhile.
  func withBuffer<Result>(_ body: (inout Buffer) throws -> Result) rethrows -> Result {
    var buffer = free.withLock { $0.popLast() } ?? Buffer()
    defer { free.withLock { $0.append(buffer) } }
    return try body(&buffer)
  }
}
