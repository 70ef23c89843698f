/// Assembles the bytes that a packing makes from successive rows, and says where they go in their parts.
public struct PartAssembly: Sendable {
  /// Lines of a part, one after another, and where they go.
  public struct Slab: Sendable, Equatable {
    public var bytes: [UInt8]
    /// How many lines of the same length these are.
    public var lines: Int
    /// Where the first line begins in the part, and the distance from the start of one line to the next.
    public var offset: Int
    public var stride: Int

    public init(bytes: [UInt8], lines: Int = 1, offset: Int, stride: Int = 0) {
      self.bytes = bytes
      self.lines = lines
      self.offset = offset
      self.stride = stride
    }
  }

  /// Columns of lines that are stored side by side.
  private struct Columns {
    /// `room` bytes for each line, of which the first `filled` have arrived.
    var bytes: [UInt8] = []
    var room = 0
    var filled = 0
  }

  private let parts: [StoredPart]
  private let limit: Int
  private var pending: [Columns]
  /// Bytes of each part (of each line, if lines are stored side by side) that have been returned; of overlaid parts, that have arrived.
  private var done: [Int]

  /// - Parameter limit: how many bytes of a part are held back at most; holding some back makes the pieces of its lines longer.
  public init(_ parts: [StoredPart], limit: Int = 1 << 24) {
    self.parts = parts
    self.limit = limit
    pending = parts.map { _ in Columns() }
    done = parts.map { _ in 0 }
  }

  /// Adds the bytes of the next rows.
  /// - Returns: what can be written: the same bytes, nothing yet, or what has arrived of all lines.
  public mutating func add(_ bytes: [UInt8], to part: Int) -> [Slab] {
    if case .overlaid(let layers) = parts[part].order { return overlay(bytes, on: part, layers: layers) }
    guard parts[part].order == .sideBySide, let lines = parts[part].shape.first, lines > 0, bytes.count.isMultiple(of: lines) else {
      defer { done[part] += bytes.count }
      return [Slab(bytes: bytes, offset: done[part])]
    }
    let width = parts[part].byteCount / lines, own = bytes.count / lines
    guard own <= width - done[part] - pending[part].filled else { return [Slab(bytes: bytes, offset: done[part])] }
    var slabs: [Slab] = []
    if own > pending[part].room - pending[part].filled {
      if pending[part].filled > 0 { slabs.append(take(part, lines: lines, width: width)) }
      let room = min(width - done[part], max(own, limit / lines))
      pending[part] = Columns(bytes: [UInt8](repeating: 0, count: room * lines), room: room)
    }
    let start = pending[part].filled, room = pending[part].room
    pending[part].bytes.withUnsafeMutableBytes { target in
      bytes.withUnsafeBytes { source in
        guard let target = target.baseAddress, let source = source.baseAddress else { return }
        for line in 0..<lines { (target + line * room + start).copyMemory(from: source + line * own, byteCount: own) }
      }
    }
    pending[part].filled += own
    if done[part] + pending[part].filled == width { slabs.append(take(part, lines: lines, width: width)) }
    return slabs
  }

  /// Adds bits to those that have arrived of a part, which is returned when all layers are complete.
  private mutating func overlay(_ bytes: [UInt8], on part: Int, layers: Int) -> [Slab] {
    let length = parts[part].byteCount
    guard length > 0, bytes.count <= length * layers - done[part] else { return [Slab(bytes: bytes, offset: done[part])] }
    if done[part] == 0 { pending[part].bytes = [UInt8](repeating: 0, count: length) }
    var position = done[part] % length
    for byte in bytes {
      pending[part].bytes[position] |= byte
      position = position + 1 == length ? 0 : position + 1
    }
    done[part] += bytes.count
    guard done[part] == length * layers else { return [] }
    defer { pending[part] = Columns() }
    return [Slab(bytes: pending[part].bytes, offset: 0)]
  }

  /// Returns what is pending, and counts it as written.
  private mutating func take(_ part: Int, lines: Int, width: Int) -> Slab {
    let columns = pending[part], offset = done[part]
    pending[part] = Columns()
    done[part] += columns.filled
    var bytes = columns.bytes
    if columns.filled < columns.room {
      bytes = (0..<lines).flatMap { columns.bytes[$0 * columns.room..<$0 * columns.room + columns.filled] }
    }
    if columns.filled == width { return Slab(bytes: bytes, offset: 0) }
    return Slab(bytes: bytes, lines: lines, offset: offset, stride: width)
  }
}
