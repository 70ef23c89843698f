import CZlib
import QuantCore

/// A ZIP archive whose entries are read in place.
///
/// Read strictly: the directory and the local headers must agree, entries must not share bytes, and names must be unique. A file
/// that two programs could unpack differently is refused.
struct ZipArchive {
  private let file: ByteView
  private let entries: [String: Stored]
  /// In the order of the directory.
  let names: [String]

  /// An entry with the byte range of its data.
  private struct Stored {
    var entry: ZipEntry
    var data: Range<Int>
  }

  /// Deflated weights shrink by about a tenth; entries that shrink far more are made to fill the memory.
  private static let maximumRatio = 100
  /// Inflated entries are held in memory.
  private static let maximumInflated = 1 << 30

  /// - Throws: `Failure` `zip.…` or `limit.…`.
  init(_ file: ByteView) throws(Failure) {
    let directory = try ZipDirectory(file)
    var entries: [String: Stored] = [:]
    var spans: [(name: String, range: Range<Int>)] = []
    for entry in directory.entries {
      let data: Range<Int>
      do throws(Failure) { data = try ZipArchive.data(of: entry, in: file, before: directory.offset) } catch {
        throw error.at(entry.headerOffset)
      }
      entries[entry.name] = Stored(entry: entry, data: data)
      spans.append((entry.name, entry.headerOffset..<data.upperBound))
    }
    spans.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    for (before, after) in zip(spans, spans.dropFirst()) where before.range.upperBound > after.range.lowerBound {
      throw Failure(
        .data, "zip.overlap", "entries \(JSON.string(before.name).text()) and \(JSON.string(after.name).text()) share bytes",
        byteOffset: after.range.lowerBound)
    }
    self.file = file
    self.entries = entries
    names = directory.entries.map(\.name)
  }

  /// The byte range of an entry's data, after comparing its local header with the directory.
  private static func data(of entry: ZipEntry, in file: ByteView, before end: Int) throws(Failure) -> Range<Int> {
    let name = JSON.string(entry.name).text()
    let outside = Failure(.data, "zip.entry", "entry \(name) lies outside the file")
    guard entry.headerOffset < end else { throw outside }
    var reader = ByteReader(file, from: entry.headerOffset)
    guard try reader.u32(outside) == 0x0403_4b50 else {
      throw Failure(.data, "zip.entry", "entry \(name) does not begin where the directory says")
    }
    try reader.skip(2, outside)
    let flags = try reader.u16(outside), method = try reader.u16(outside)
    try reader.skip(4, outside)
    let crc = try reader.u32(outside), storedCount = try reader.u32(outside), count = try reader.u32(outside)
    let nameCount = Int(try reader.u16(outside)), extraCount = Int(try reader.u16(outside))
    let localName = try reader.view(nameCount, outside).bytes
    try reader.skip(extraCount, outside)
    // If the sizes follow the data (bit 3), the header omits them; if they take 64 bits, it has all ones.
    let followed = entry.flags & 8 != 0
    func agrees(_ local: UInt32, _ central: Int) -> Bool { local == .max || Int(local) == central || followed && local == 0 }
    guard flags == entry.flags, method == entry.method, localName == Array(entry.name.utf8),
      crc == entry.crc || followed && crc == 0, agrees(storedCount, entry.storedCount), agrees(count, entry.count)
    else { throw Failure(.data, "zip.header", "the header of entry \(name) contradicts the directory") }
    guard flags & 1 == 0 else { throw Failure(.unsupported, "zip.encrypted", "entry \(name) is encrypted") }
    guard method == 0 || method == 8 else {
      throw Failure(
        .unsupported, "zip.method", "entry \(name) is compressed with method \(method); only stored and deflated entries are supported")
    }
    guard method == 8 || entry.count == entry.storedCount else {
      throw Failure(.data, "zip.size", "entry \(name) is not compressed, but has two different sizes")
    }
    guard let last = Checked.sum(reader.offset, entry.storedCount), last <= end else { throw outside }
    return reader.offset..<last
  }

  /// The length of an entry's content, or nil if there is no such entry.
  func count(of name: String) -> Int? { entries[name]?.entry.count }

  /// Where the data of an entry begins in the file.
  func offset(of name: String) -> Int? { entries[name]?.data.lowerBound }

  /// Whether an entry is stored uncompressed.
  func isStored(_ name: String) -> Bool { entries[name]?.entry.method == 0 }

  /// The content of an entry: in place if it is stored uncompressed, else inflated.
  /// - Parameters:
  ///   - checksInPlace: whether to verify the checksum of a stored entry, which reads all of it. That of a deflated entry always is.
  ///   - inflated: bytes inflated so far.
  /// - Throws: `Failure` `zip.…` or `limit.…`.
  func content(of name: String, checksInPlace: Bool, inflated: inout Int) throws(Failure) -> ByteView {
    guard let stored = entries[name], let raw = file.slice(stored.data) else {
      throw Failure(.data, "zip.missing", "has no entry \(JSON.string(name).text())", byteOffset: 0)
    }
    let isDeflated = stored.entry.method == 8
    let offset = stored.data.lowerBound
    var content = raw
    if isDeflated {
      guard stored.entry.count / ZipArchive.maximumRatio <= raw.count, let total = Checked.sum(inflated, stored.entry.count),
        total <= ZipArchive.maximumInflated
      else {
        throw Failure(
          .data, "limit.inflated-size",
          "entry \(JSON.string(name).text()) would grow from \(raw.count) to \(stored.entry.count) bytes when inflated",
          byteOffset: offset, remedy: "Save the model again with torch.save, which does not compress.")
      }
      inflated = total
      content = try Inflation.inflate(raw, to: stored.entry.count, name: name, offset: offset)
    }
    guard !isDeflated && !checksInPlace || Inflation.crc(content) == stored.entry.crc else {
      throw Failure(
        .data, "zip.crc", "entry \(JSON.string(name).text()) does not have the checksum that the archive states", byteOffset: offset,
        remedy: "Fetch the file again; it is damaged.")
    }
    return content
  }
}

/// What an archive needs from zlib.
private enum Inflation {
  /// The CRC-32 of some bytes.
  static func crc(_ bytes: ByteView) -> UInt32 {
    bytes.withUnsafeBytes { UInt32(truncatingIfNeeded: crc32_z(0, $0.bindMemory(to: UInt8.self).baseAddress, $0.count)) }
  }

  /// Inflates a raw stream, which must give exactly `count` bytes.
  static func inflate(_ raw: ByteView, to count: Int, name: String, offset: Int) throws(Failure) -> ByteView {
    let bad = Failure(
      .data, "zip.deflate", "entry \(JSON.string(name).text()) is not a deflated stream of \(count) bytes", byteOffset: offset,
      remedy: "Fetch the file again; it is damaged.")
    // zlib's lengths have 32 bits; entries are limited to less.
    guard let inputCount = UInt32(exactly: raw.count), let outputCount = UInt32(exactly: count) else { throw bad }
    var stream = z_stream()
    guard inflateInit2_(&stream, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else { throw bad }
    defer { inflateEnd(&stream) }
    var status = Z_STREAM_ERROR
    let bytes = [UInt8](unsafeUninitializedCapacity: max(1, count)) { buffer, initialized in
      raw.withUnsafeBytes { source in
        stream.next_in = UnsafeMutablePointer(mutating: source.bindMemory(to: UInt8.self).baseAddress)
        stream.avail_in = inputCount
        stream.next_out = buffer.baseAddress
        stream.avail_out = outputCount
        status = CZlib.inflate(&stream, Z_FINISH)
      }
      initialized = count - Int(stream.avail_out)
    }
    guard status == Z_STREAM_END, stream.avail_in == 0, bytes.count == count else { throw bad }
    return ByteView(bytes)
  }
}
