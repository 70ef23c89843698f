import QuantCore

/// The header of a safetensors file: an 8-byte length, that many bytes of JSON, then the data.
///
/// Read more strictly than by the reference: names are unique after unescaping, unknown fields and odd padding are refused, and
/// the tensors cover the data exactly, without holes or overlaps. A file that two readers could interpret differently is
/// refused.
struct SafetensorsHeader {
  struct Entry {
    var name: String
    var type: ElementType
    /// Outermost first; empty for a scalar.
    var shape: [Int]
    /// Bytes of the tensor, from the start of the file.
    var range: Range<Int>
  }

  /// Sorted by position in the file.
  private(set) var entries: [Entry]
  /// `__metadata__`, in the order of the file.
  private(set) var metadata: KeyValues

  /// Policy limits, far above any published checkpoint.
  static let maximumHeaderBytes = 100_000_000
  static var maximumTensors: Int { CheckpointLimits.tensorsOfFile }
  static let maximumNameBytes = 65_535
  static let maximumRank = 8

  /// - Parameter file: the whole file.
  /// - Throws: `Failure` `st.…`, `limit.…`, or `input.…` if the file is of another kind.
  init(_ file: ByteView) throws(Failure) {
    if let wrong = WrongKind.failure(file, expected: "a safetensors file") { throw wrong }
    let (text, dataStart) = try SafetensorsHeader.text(of: file)
    let (json, end) = try SafetensorsHeader.parse(text)
    guard case .object(let members) = json else {
      throw Failure(.data, "st.header.not-object", "the header is JSON, but not an object", byteOffset: 8)
    }
    let dataCount = file.count - dataStart
    entries = []
    metadata = KeyValues()
    for member in members {
      if member.key == "__metadata__" {
        metadata = try SafetensorsHeader.metadata(member.value)
      } else {
        let parser = SafetensorsEntryParser(name: member.key, dataStart: dataStart)
        do { entries.append(try parser.entry(member.value)) } catch { throw error.inTensor(member.key) }
      }
    }
    entries.sort { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    let covered = (entries.map(\.range.upperBound).max() ?? dataStart) - dataStart
    try SafetensorsHeader.checkPadding(text, from: end, lengthIsRight: covered == dataCount)
    try checkCoverage(dataStart: dataStart, fileSize: file.count)
  }

  /// The JSON text, and the position of the data after it.
  private static func text(of file: ByteView) throws(Failure) -> (text: ByteView, dataStart: Int) {
    guard file.count > 0 else { throw Failure(.data, "st.empty", "is empty", byteOffset: 0, remedy: again) }
    var reader = ByteReader(file)
    let word = try reader.u64(
      Failure(.data, "st.short", "has \(file.count) bytes, fewer than the 8 of a header length", byteOffset: 0, remedy: again))
    guard word > 0 else { throw Failure(.data, "st.header.empty", "the header has no bytes", byteOffset: 0) }
    guard let length = Int(exactly: word), length <= maximumHeaderBytes else {
      let swapped = word.byteSwapped <= UInt64(maximumHeaderBytes) ? "; its bytes are in reverse order" : ""
      throw Failure(
        .data, "st.header.too-large",
        "the header claims \(word) bytes; at most \(maximumHeaderBytes) are allowed\(swapped)", byteOffset: 0)
    }
    guard length <= reader.remaining else { throw beyondFile(length, try reader.view(reader.remaining)) }
    return (try reader.view(length), 8 + length)
  }

  /// A header that is longer than the file: it is cut off, unless it is whole and only its length is wrong.
  private static func beyondFile(_ length: Int, _ rest: ByteView) -> Failure {
    let missing = "the header claims \(length) bytes, but the file has only \(rest.count) more"
    do {
      _ = try JSON.parsePrefix(rest)
    } catch {
      let startsWell = rest.withUnsafeBytes { $0.first == UInt8(ascii: "{") }
      if error.problem == .truncated && startsWell {
        return Failure(.data, "st.truncated", "is cut off inside the header: \(missing)", byteOffset: 8 + rest.count, remedy: again)
      }
    }
    return Failure(.data, "st.header.beyond-file", missing, byteOffset: 0)
  }

  /// Parses the text of a header.
  /// - Returns: the value, and where it ends.
  private static func parse(_ text: ByteView) throws(Failure) -> (JSON, Int) {
    var options = JSON.ParseOptions.strict
    options.maximumBytes = maximumHeaderBytes
    // One more than the tensors: `__metadata__`.
    options.maximumMembers = maximumTensors + 1
    let first = text.withUnsafeBytes { [UInt8]($0.prefix(3)) }
    if first == [0xef, 0xbb, 0xbf] {
      throw Failure(.data, "st.header.bom", "the header begins with a byte order mark", byteOffset: 8)
    }
    if let byte = first.first, [0x20, 0x09, 0x0a, 0x0d].contains(byte) {
      throw Failure(.data, "st.header.first-byte", "the header begins with white space, not with '{'", byteOffset: 8)
    }
    if let place = excessiveObject(text) {
      throw Failure(.data, "limit.tensor-count", "describes more than \(maximumTensors) tensors", byteOffset: 8 + place)
    }
    do { return try JSON.parsePrefix(text, options) } catch { throw failure(error) }
  }

  /// Where the first object opens that a header with `maximumTensors` tensors cannot have, or nil. Checked before parsing,
  /// because parsed values take many times the memory of their text.
  private static func excessiveObject(_ text: ByteView) -> Int? {
    text.withUnsafeBytes { bytes in
      // The header itself and `__metadata__` are objects too.
      var left = maximumTensors + 2
      var isInString = false
      var index = 0
      while index < bytes.count {
        switch bytes[index] {
        case UInt8(ascii: "\\") where isInString: index += 1
        case UInt8(ascii: "\""): isInString.toggle()
        case UInt8(ascii: "{") where !isInString:
          if left == 0 { return index }
          left -= 1
        default: break
        }
        index += 1
      }
      return nil
    }
  }

  /// The failure for text that is not a valid header.
  private static func failure(_ error: JSON.ParseError) -> Failure {
    let inName = error.path.isEmpty
    var failure = error.failure()
    failure.byteOffset = error.byteOffset + 8
    switch error.problem {
    case .duplicateKey(let key):
      let isMetadata = inName ? key == "__metadata__" : error.path[0] == "__metadata__"
      failure.id = isMetadata ? "st.metadata.duplicate" : inName ? "st.name.duplicate" : "st.field.duplicate"
      failure.tensor = isMetadata ? nil : error.path.first ?? key
    case .invalidUTF8: failure.id = inName ? "st.name.utf8" : "st.header.utf8"
    case .loneSurrogate: failure.id = inName ? "st.name.surrogate" : "st.header.surrogate"
    case .tooDeep: failure.id = "st.header.depth"
    case .tooLarge: failure.id = "st.header.too-large"
    case .tooManyMembers: failure.id = inName ? "limit.tensor-count" : "limit.metadata-count"
    case .truncated, .unexpected, .trailing: failure.id = "st.header.json"
    }
    return failure
  }

  /// Only spaces are allowed between the JSON and the data.
  private static func checkPadding(_ text: ByteView, from end: Int, lengthIsRight: Bool) throws(Failure) {
    let rest = text.withUnsafeBytes { [UInt8]($0.dropFirst(end)) }
    guard let bad = rest.firstIndex(where: { $0 != 0x20 }) else { return }
    guard lengthIsRight else {
      throw Failure(
        .data, "st.header.json", "the header length is wrong by \(rest.count): it counts bytes of data as header", byteOffset: 0)
    }
    let isPadding = rest.allSatisfy { [0, 0x09, 0x0a, 0x0d, 0x20].contains($0) }
    throw Failure(
      .data, isPadding ? "st.header.padding" : "st.header.trailing",
      isPadding ? "the header is padded with something other than spaces" : "the header continues after its JSON object",
      byteOffset: 8 + end + bad)
  }

  private static func metadata(_ value: JSON) throws(Failure) -> KeyValues {
    guard case .object(let members) = value else {
      throw Failure(.data, "st.metadata.type", "__metadata__ is not an object", byteOffset: 8)
    }
    var result = KeyValues()
    for member in members {
      guard case .string(let text) = member.value else {
        throw Failure(
          .data, "st.metadata.value", "the value of \(JSON.string(member.key).text()) in __metadata__ is not a string", byteOffset: 8)
      }
      result[member.key] = .string(text)
    }
    return result
  }

  /// Tensors must follow each other from the first byte of the data to the last of the file.
  private func checkCoverage(dataStart: Int, fileSize: Int) throws(Failure) {
    var position = dataStart
    for entry in entries {
      let start = entry.range.lowerBound
      guard start >= position else {
        throw Failure(.data, "st.overlap", "shares bytes with the tensor before it", tensor: entry.name, byteOffset: start)
      }
      guard start == position else {
        throw Failure(
          .data, "st.hole", "begins \(start - position) bytes after the end of the tensor before it", tensor: entry.name,
          byteOffset: position)
      }
      position = entry.range.upperBound
    }
    guard position <= fileSize else {
      throw Failure(
        .data, "st.truncated", "is cut off: \(position - fileSize) bytes of data are missing", byteOffset: fileSize,
        remedy: SafetensorsHeader.again)
    }
    guard position == fileSize else {
      throw Failure(
        .data, "st.trailing-bytes", "has \(fileSize - position) bytes after the last tensor", byteOffset: position)
    }
  }

  private static let again: Remedy = "Fetch the file again; it is incomplete."
}
