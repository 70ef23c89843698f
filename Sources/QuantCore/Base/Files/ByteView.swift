import QuantPlatform

/// A bounded, read-only region of memory that keeps its owner (a mapped file, an array) alive.
///
/// Created once, after offset and length were checked against the owner; everything downstream takes the view and never
/// recomputes its size.
public struct ByteView: @unchecked Sendable {
  // Unchecked: the memory is never written after the view is made, and the owner outlives the pointer.
  private let owner: AnyObject?
  private let base: UnsafeRawPointer?
  /// Length in bytes.
  public let count: Int

  /// - Precondition: `base` points to `count` readable bytes for as long as `owner` lives.
  public init(owner: AnyObject?, base: UnsafeRawPointer?, count: Int) {
    self.owner = owner
    self.base = base
    self.count = base == nil ? 0 : count
  }

  /// A view of a copy of `bytes`.
  public init(_ bytes: [UInt8]) {
    let storage = ArrayOwner(bytes)
    self.init(owner: storage, base: UnsafeRawPointer(storage.pointer), count: bytes.count)
  }

  /// The sub-range, or nil if it leaves the view.
  public func slice(_ range: Range<Int>) -> ByteView? {
    guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
    return ByteView(owner: owner, base: base.map { $0 + range.lowerBound }, count: range.count)
  }

  /// Calls `body` with the bytes. The pointer is valid only during the call.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(owner) { try body(UnsafeRawBufferPointer(start: base, count: count)) }
  }

  /// Frees the memory of a mapped file's pages that lie fully inside the view; they are loaded again when they are read.
  public func dropFromMemory() { advise(MADV_DONTNEED, whole: true) }

  /// Asks the system to start reading the pages of a mapped file that are not in memory.
  package func willNeed() { advise(MADV_WILLNEED, whole: false) }

  /// - Parameter whole: leave out pages that are only partly in the view.
  private func advise(_ advice: Int32, whole: Bool) {
    // Only the bytes of a mapping can be loaded again.
    guard owner is MappedFile, let base else { return }
    let page = UInt(sysconf(Int32(_SC_PAGESIZE)))
    let first = (UInt(bitPattern: base) + (whole ? page - 1 : 0)) / page * page, end = UInt(bitPattern: base) + UInt(count)
    let last = whole ? end / page * page : end
    guard last > first, let start = UnsafeMutableRawPointer(bitPattern: first) else { return }
    madvise(start, Int(last - first), advice)
  }

  /// A copy of the bytes.
  public var bytes: [UInt8] { withUnsafeBytes { [UInt8]($0) } }

  private final class ArrayOwner {
    let pointer: UnsafeMutablePointer<UInt8>
    let count: Int
    init(_ bytes: [UInt8]) {
      count = bytes.count
      pointer = .allocate(capacity: max(1, bytes.count))
      pointer.initialize(from: bytes, count: bytes.count)
    }
    deinit { pointer.deallocate() }
  }
}
