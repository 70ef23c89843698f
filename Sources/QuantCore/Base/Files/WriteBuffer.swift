import Synchronization

/// Bytes of one placement on their way into a file. They are written in stretches that begin and end at multiples of 256 KiB:
/// the system keeps long pieces of memory for these, where short and unaligned writes take twice as long. Longer stretches do not
/// stay in a core's cache while they are copied, which takes longer still.
///
/// Unchecked: a placement has one writer at a time.
final class WriteBuffer: @unchecked Sendable {
  /// Memory that buffers take turns with.
  final class Pool: Sendable {
    private let free = Mutex<[[UInt8]]>([])

    func take() -> [UInt8] { free.withLock { $0.popLast() } ?? [UInt8](repeating: 0, count: WriteBuffer.length) }
    func give(_ bytes: [UInt8]) { free.withLock { $0.append(bytes) } }
  }

  private static let length = 1 << 18
  /// What the disk is given at a time.
  private static let stretch = 8 << 20

  private let pool: Pool
  private var bytes: [UInt8] = []
  /// Where in the file the first byte that is held belongs, and how many are held.
  private var start = 0
  private var count = 0

  init(_ pool: Pool) { self.pool = pool }

  /// Takes bytes that follow those before.
  /// - Parameters:
  ///   - offset: their place in the file.
  ///   - isLast: whether none will follow.
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
    // The disk works while the next bytes are made.
    let begun = start / WriteBuffer.stretch * WriteBuffer.stretch..<end / WriteBuffer.stretch * WriteBuffer.stretch
    if !begun.isEmpty { file.beginSync(begun) }
    start = end
    count = 0
  }
}
