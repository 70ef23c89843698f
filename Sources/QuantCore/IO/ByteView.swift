import Glibc

/// A bounded, read-only stretch of memory that keeps its owner (a mapped file, an array) alive.
///
/// Made once, after offset and length were checked against the owner; everything downstream takes the view and never
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

  /// The sub-range, or nil where it leaves the view.
  public func slice(_ range: Range<Int>) -> ByteView? {
    guard range.lowerBound >= 0, range.upperBound <= count else { return nil }
    return ByteView(owner: owner, base: base.map { $0 + range.lowerBound }, count: range.count)
  }

  /// Calls `body` with the bytes. The pointer is valid only during the call.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try withExtendedLifetime(owner) { try body(UnsafeRawBufferPointer(start: base, count: count)) }
  }

  /// Lets the system take back the pages of a mapped file that lie inside the view; they are read again when they are needed.
  /// Other memory is left alone.
  func releasePages() {
    guard owner is MappedFile, let base else { return }
    let page = max(1, sysconf(Int32(_SC_PAGESIZE)))
    let first = (Int(bitPattern: base) + page - 1) / page * page
    let end = (Int(bitPattern: base) + count) / page * page
    guard first < end, let start = UnsafeMutableRawPointer(bitPattern: first) else { return }
    _ = madvise(start, end - first, MADV_DONTNEED)
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
