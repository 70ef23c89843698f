import Synchronization

/// Collects the bytes of one placement and writes them in pieces that begin and end at multiples of 256 KiB. The system caches such
/// pieces in large blocks of memory; short and unaligned writes take twice as long. Longer pieces do not stay in a core's cache while
/// they are copied, which takes longer too.
///
/// Unchecked: a placement has one writer at a time.
final class WriteBuffer: @unchecked Sendable {
  /// Memory that buffers share in turn.
  final class Pool: Sendable {
    private let free = Mutex<[[UInt8]]>([])

    func take() -> [UInt8] { free.withLock { $0.popLast() } ?? [UInt8](repeating: 0, count: WriteBuffer.length) }
    func give(_ bytes: [UInt8]) { free.withLock { $0.append(bytes) } }
  }

  private static let length = 1 << 18
  /// How many bytes the disk is asked to write at a time.
  private static let stretch = 8 << 20

  private let pool: Pool
  private var bytes: [UInt8] = []
  /// File offset of the first byte held, and the number of bytes held.
  private var start = 0
  private var count = 0

  init(_ pool: Pool) { self.pool = pool }

  /// Takes the bytes that follow the previous ones.
  /// - Parameters:
  ///   - offset: their place in the file.
  ///   - isLast: whether these are the last ones.
  func append(_ source: UnsafeRawBufferPointer, at offset: Int, isLast: Bool, to file: OutputFile) throws(Failure) {
    guard let base = source.baseAddress else { return }
    if count == 0 { start = offset }
    var done = 0
    while done < source.count {
      let piece = min(source.count - done, WriteBuffer.length - (start + count) % WriteBuffer.length)
      if bytes.isEmpty { bytes = pool.take() }
      bytes.withUnsafeMutableBytes { target in
        if let target = target.baseAddress { (target + count).copyMemory(from: base + done, byteCount: piece) }
      }
      count += piece
      done += piece
      if (start + count).isMultiple(of: WriteBuffer.length) || isLast && done == source.count { try flush(to: file) }
    }
    guard isLast else { return }
    pool.give(bytes)
    bytes = []
  }

  private func flush(to file: OutputFile) throws(Failure) {
    let failure = bytes.withUnsafeBytes { bytes -> Failure? in
      do throws(Failure) { try file.write(UnsafeRawBufferPointer(rebasing: bytes[0..<count]), at: start) } catch { return error }
      return nil
    }
    if let failure { throw failure }
    let end = start + count
    // The disk writes while the next bytes are computed.
    let begun = start / WriteBuffer.stretch * WriteBuffer.stretch..<end / WriteBuffer.stretch * WriteBuffer.stretch
    if !begun.isEmpty { file.beginSync(begun) }
    start = end
    count = 0
  }
}
