/// A cursor that reads little-endian values from a view and never leaves it.
public struct ByteReader: Sendable {
  private let view: ByteView
  /// Position of the next byte, from the start of the view.
  public private(set) var offset: Int

  /// - Parameter offset: where to start; outside the view there is nothing to read.
  public init(_ view: ByteView, from offset: Int = 0) {
    self.view = view
    self.offset = min(max(0, offset), view.count)
  }

  /// Bytes from here to the end.
  public var remaining: Int { view.count - offset }

  /// The next `count` bytes as a view.
  /// - Throws: `short`, with the offset of the read filled in, if fewer remain.
  public mutating func view(_ count: Int, _ short: @autoclosure () -> Failure = ByteReader.truncated) throws(Failure) -> ByteView {
    guard count >= 0, count <= remaining, let slice = view.slice(offset..<offset + count) else { throw located(short()) }
    offset += count
    return slice
  }

  /// Moves on by `count` bytes.
  public mutating func skip(_ count: Int, _ short: @autoclosure () -> Failure = ByteReader.truncated) throws(Failure) {
    guard count >= 0, count <= remaining else { throw located(short()) }
    offset += count
  }

  /// One byte, or throws `short`.
  public mutating func u8(_ short: @autoclosure () -> Failure = ByteReader.truncated) throws(Failure) -> UInt8 {
    try load(UInt8.self, short)
  }
  /// Two bytes, or throws `short`.
  public mutating func u16(_ short: @autoclosure () -> Failure = ByteReader.truncated) throws(Failure) -> UInt16 {
    try load(UInt16.self, short)
  }
  /// Four bytes, or throws `short`.
  public mutating func u32(_ short: @autoclosure () -> Failure = ByteReader.truncated) throws(Failure) -> UInt32 {
    try load(UInt32.self, short)
  }
  /// Eight bytes, or throws `short`.
  public mutating func u64(_ short: @autoclosure () -> Failure = ByteReader.truncated) throws(Failure) -> UInt64 {
    try load(UInt64.self, short)
  }

  private mutating func load<Value: FixedWidthInteger>(
    _: Value.Type, _ short: () -> Failure
  ) throws(Failure) -> Value {
    let size = MemoryLayout<Value>.size
    guard size <= remaining else { throw located(short()) }
    let value = view.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Value.self) }
    offset += size
    return Value(littleEndian: value)
  }

  private func located(_ failure: Failure) -> Failure {
    var failure = failure
    if failure.byteOffset == nil { failure.byteOffset = offset }
    return failure
  }

  /// The failure thrown if the caller gives none.
  public static var truncated: Failure {
    Failure(.data, "input.truncated", "ends in the middle of a value", remedy: "Fetch the file again; it is incomplete.")
  }
}
