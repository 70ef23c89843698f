import QuantCore

/// One entry of a ZIP archive, as the central directory describes it.
struct ZipEntry {
  /// The name with its folders, unique in the archive.
  var name: String
  /// 0: stored, 8: deflated.
  var method: UInt16
  var flags: UInt16
  var crc: UInt32
  /// Bytes in the archive.
  var storedCount: Int
  /// Bytes of the content.
  var count: Int
  /// Where the local header begins.
  var headerOffset: Int
}

/// The central directory of a ZIP archive and its end record, in the plain and the 64-bit variant.
///
/// Specification: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (sections 4.3.12 to 4.3.16, 4.5.3)
struct ZipDirectory {
  /// In the order of the directory.
  let entries: [ZipEntry]
  /// Where the directory begins: all entries are before it.
  let offset: Int

  /// Far above any published checkpoint, which has one entry per tensor.
  static let maximumEntries = 200_000
  private static let maximumNameBytes = 4096

  /// Where the directory is, according to the end record.
  private struct Place {
    var entries: UInt64
    var size: UInt64
    var offset: UInt64
    /// Where the record that says so begins.
    var end: Int
  }

  /// - Throws: `Failure` `zip.…` or `limit.…`.
  init(_ file: ByteView) throws(Failure) {
    let place = try ZipDirectory.place(file)
    guard let start = Int(exactly: place.offset), let size = Int(exactly: place.size), let end = Checked.sum(start, size),
      end <= place.end, let bytes = file.slice(start..<end)
    else { throw Failure(.data, "zip.directory", "the central directory lies outside the file", byteOffset: place.end) }
    guard place.entries <= UInt64(ZipDirectory.maximumEntries) else {
      throw Failure(
        .data, "limit.entry-count", "the archive claims \(place.entries) entries; at most \(ZipDirectory.maximumEntries) are supported",
        byteOffset: place.end)
    }
    var reader = ByteReader(bytes)
    var entries: [ZipEntry] = []
    var names: Set<String> = []
    for _ in 0..<place.entries {
      let offset = start + reader.offset
      do throws(Failure) {
        let entry = try ZipDirectory.entry(&reader)
        guard names.insert(entry.name).inserted else {
          throw Failure(.data, "zip.duplicate", "has two entries named \(JSON.string(entry.name).text())")
        }
        entries.append(entry)
      } catch {
        throw error.at(offset)
      }
    }
    guard reader.remaining == 0 else {
      throw Failure(
        .data, "zip.directory", "the central directory has \(reader.remaining) bytes after its last entry",
        byteOffset: start + reader.offset)
    }
    self.entries = entries
    offset = start
  }

  private static func entry(_ reader: inout ByteReader) throws(Failure) -> ZipEntry {
    let short = Failure(.data, "zip.directory", "the central directory ends in the middle of an entry")
    guard try reader.u32(short) == 0x0201_4b50 else {
      throw Failure(.data, "zip.directory", "no entry of the central directory begins here")
    }
    try reader.skip(4, short)
    let flags = try reader.u16(short), method = try reader.u16(short)
    try reader.skip(4, short)
    let crc = try reader.u32(short), stored = try reader.u32(short), size = try reader.u32(short)
    let nameCount = Int(try reader.u16(short)), extraCount = Int(try reader.u16(short)), commentCount = Int(try reader.u16(short))
    let disk = try reader.u16(short)
    try reader.skip(6, short)
    let header = try reader.u32(short)
    guard nameCount > 0, nameCount <= maximumNameBytes,
      let name = String(validating: try reader.view(nameCount, short).bytes, as: UTF8.self),
      !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
    else { throw Failure(.data, "zip.name", "the name of an entry is empty, too long, or not printable UTF-8") }
    let wide = try WideFields(reader.view(extraCount, short))
    try reader.skip(commentCount, short)
    guard disk == 0 || disk == .max else { throw Failure(.unsupported, "zip.disks", "is one of several files of a split archive") }
    var fields = wide
    guard let count = Int(exactly: try fields.value(size)), let storedCount = Int(exactly: try fields.value(stored)),
      let headerOffset = Int(exactly: try fields.value(header))
    else { throw Failure(.data, "zip.directory", "the sizes of entry \(JSON.string(name).text()) exceed 63 bits") }
    return ZipEntry(
      name: name, method: method, flags: flags, crc: crc, storedCount: storedCount, count: count, headerOffset: headerOffset)
  }

  /// The 64-bit values of an entry: the extra field holds them, in a fixed order, for the narrow values that are all ones.
  private struct WideFields {
    private var reader: ByteReader

    init(_ extra: ByteView) throws(Failure) {
      let short = Failure(.data, "zip.extra", "the extra field of an entry is cut off")
      var fields = ByteReader(extra)
      reader = ByteReader(ByteView([]))
      // Fewer than four bytes are padding.
      while fields.remaining >= 4 {
        let kind = try fields.u16(short), content = try fields.view(Int(fields.u16(short)), short)
        if kind == 1 { reader = ByteReader(content) }
      }
    }

    mutating func value(_ narrow: UInt32) throws(Failure) -> UInt64 {
      guard narrow == .max else { return UInt64(narrow) }
      return try reader.u64(Failure(.data, "zip.extra", "a 64-bit size of an entry is missing"))
    }
  }

  // MARK: - End record

  private static func place(_ file: ByteView) throws(Failure) -> Place {
    guard let end = endRecord(file) else {
      throw Failure(
        .data, "zip.truncated", "has no end record of a ZIP archive", byteOffset: file.count,
        remedy: "Fetch the file again; it is incomplete.")
    }
    var reader = ByteReader(file, from: end + 4)
    let disk = try reader.u16(), startDisk = try reader.u16(), entriesHere = try reader.u16(), entries = try reader.u16()
    let size = try reader.u32(), offset = try reader.u32()
    var place = Place(entries: UInt64(entries), size: UInt64(size), offset: UInt64(offset), end: end)
    let isWide = disk == .max || startDisk == .max || entries == .max || entriesHere == .max || size == .max || offset == .max
    if isWide, let wide = try widePlace(file, before: end) {
      place = wide
    } else if disk != 0 || startDisk != 0 || entries != entriesHere {
      throw Failure(.unsupported, "zip.disks", "is one of several files of a split archive", byteOffset: end)
    }
    return place
  }

  /// Where the end record begins: its comment reaches exactly to the end of the file.
  private static func endRecord(_ file: ByteView) -> Int? {
    file.withUnsafeBytes { bytes in
      var start = bytes.count - 22
      while start >= max(0, bytes.count - 22 - Int(UInt16.max)) {
        if bytes[start] == 0x50, bytes[start + 1] == 0x4b, bytes[start + 2] == 5, bytes[start + 3] == 6,
          Int(bytes[start + 20]) + Int(bytes[start + 21]) << 8 == bytes.count - start - 22
        {
          return start
        }
        start -= 1
      }
      return nil
    }
  }

  /// What the 64-bit end record says, or nil if none precedes the end record.
  private static func widePlace(_ file: ByteView, before end: Int) throws(Failure) -> Place? {
    guard end >= 20 else { return nil }
    var locator = ByteReader(file, from: end - 20)
    guard try locator.u32() == 0x0706_4b50 else { return nil }
    let bad = Failure(.data, "zip.end", "the 64-bit end record of the archive is damaged", byteOffset: end - 20)
    let disk = try locator.u32(), position = try locator.u64(), disks = try locator.u32()
    guard disk == 0, disks <= 1, let start = Int(exactly: position), start <= end - 20 else { throw bad }
    var record = ByteReader(file, from: start)
    guard try record.u32(bad) == 0x0606_4b50 else { throw bad }
    try record.skip(12, bad)
    let thisDisk = try record.u32(bad), firstDisk = try record.u32(bad)
    let entriesHere = try record.u64(bad), entries = try record.u64(bad), size = try record.u64(bad), offset = try record.u64(bad)
    guard thisDisk == 0, firstDisk == 0, entries == entriesHere else { throw bad }
    return Place(entries: entries, size: size, offset: offset, end: start)
  }
}

extension Failure {
  /// The same failure with the byte offset filled in.
  func at(_ offset: Int) -> Failure {
    var copy = self
    copy.byteOffset = offset
    return copy
  }
}
