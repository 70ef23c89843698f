import QuantCore

/// The header of a GGUF file: magic, version, counts, key-value pairs, the table of tensors, padding; the data follows.
///
/// Versions 2 and 3 are the same for little-endian files. Reading is stricter than in llama.cpp: keys and names are clean
/// text, booleans are 0 or 1, tensors follow each other without gaps and nothing follows the last.
///
/// Specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
struct GGUFHeader {
  struct Tensor {
    var name: String
    /// Outermost first: the reverse of the order in the file.
    var shape: [Int]
    var type: GGUFTensorType
    var byteCount: Int
    /// From the start of the data, as stored.
    var offset: UInt64
    /// Where the tensor's entry in the table begins in the file.
    var entryOffset: Int
  }

  let version: UInt32
  let metadata: KeyValues
  /// Where each key begins in the file.
  let keyOffsets: [String: Int]
  let tensors: [Tensor]
  /// Alignment of the data section and of every tensor in it.
  let alignment: Int
  /// Where the table of tensors ends in the file; zeros follow until the data begins.
  let tableEnd: Int
  /// Where the data begins in the file.
  let dataStart: Int

  /// Policy limits.
  static var maximumTensors: Int { CheckpointLimits.tensorsOfFile }
  static let maximumPairs = 100_000
  static let maximumKeyBytes = 65_535
  static let maximumNameBytes = 64
  static let maximumRank = 4
  static let maximumAlignment = 65_536

  /// - Parameter file: the whole file.
  /// - Throws: `Failure` `gg.…`, `limit.…`, or `input.…` if the file is of another kind.
  init(_ file: ByteView) throws(Failure) {
    var reader = ByteReader(file)
    version = try GGUFHeader.version(&reader, file)
    let tensorCount = try GGUFHeader.count(&reader, "tensors")
    let pairCount = try GGUFHeader.count(&reader, "key-value pairs")
    for (count, what) in [(tensorCount, "tensors"), (pairCount, "key-value pairs")] where count > reader.remaining {
      throw Failure(
        .data, "gg.count.beyond-file", "claims \(count) \(what), which is more than the file has bytes", byteOffset: 8)
    }
    guard tensorCount <= GGUFHeader.maximumTensors else {
      throw Failure(
        .data, "limit.tensor-count", "has \(tensorCount) tensors; at most \(GGUFHeader.maximumTensors) are supported", byteOffset: 8)
    }
    guard pairCount <= GGUFHeader.maximumPairs else {
      throw Failure(
        .data, "limit.metadata-count", "has \(pairCount) key-value pairs; at most \(GGUFHeader.maximumPairs) are supported",
        byteOffset: 16)
    }
    (metadata, keyOffsets) = try GGUFHeader.metadata(&reader, count: pairCount)
    do {
      alignment = try GGUFHeader.alignment(metadata)
    } catch {
      throw error.atByte(keyOffsets["general.alignment"])
    }
    tensors = try GGUFHeader.tensors(&reader, count: tensorCount)
    tableEnd = reader.offset
    guard let start = Checked.aligned(reader.offset, to: alignment) else { throw GGUFHeader.overflow }
    dataStart = start
  }

  private static func version(_ reader: inout ByteReader, _ file: ByteView) throws(Failure) -> UInt32 {
    guard file.count > 0 else { throw Failure(.data, "gg.empty", "is empty", byteOffset: 0, remedy: again) }
    let magic = try reader.u32(Failure(.data, "gg.short", "has only \(file.count) bytes", byteOffset: 0, remedy: again))
    let expected = UInt32(0x4655_4747)
    guard magic == expected else {
      if let wrong = WrongKind.failure(file, expected: "a GGUF file") { throw wrong }
      if magic == expected.byteSwapped { throw bigEndian }
      throw Failure(.data, "gg.magic", "does not begin with 'GGUF'", byteOffset: 0, remedy: "Check that this is a GGUF file.")
    }
    let version = try reader.u32(truncated("header"))
    if version == 2 || version == 3 { return version }
    if (1...0xffff).contains(version.byteSwapped) { throw bigEndian }
    let what =
      switch version {
      case 1: "version 1, with 32-bit counts, is no longer supported"
      case 0: "version 0 does not exist"
      default: "version \(version) is newer than 3, the latest supported version"
      }
    throw Failure(.data, "gg.version", what, byteOffset: 4)
  }

  private static func count(_ reader: inout ByteReader, _ what: String) throws(Failure) -> Int {
    let offset = reader.offset
    let value = try reader.u64(truncated("header"))
    guard let count = Int(exactly: value) else {
      throw Failure(.data, "gg.count.range", "claims an impossible \(value) \(what)", byteOffset: offset)
    }
    return count
  }

  private static func metadata(_ reader: inout ByteReader, count: Int) throws(Failure) -> (KeyValues, [String: Int]) {
    var values = KeyValues()
    var offsets: [String: Int] = [:]
    for _ in 0..<count {
      let start = reader.offset
      let key = try key(&reader)
      guard values[key] == nil else {
        throw Failure(.data, "gg.key.duplicate", "the key '\(key)' appears twice", byteOffset: start)
      }
      values[key] = try GGUFValueReader(key: key).value(&reader)
      offsets[key] = start
    }
    return (values, offsets)
  }

  private static func key(_ reader: inout ByteReader) throws(Failure) -> String {
    let start = reader.offset
    let length = try reader.u64(truncated("metadata"))
    guard length > 0 else { throw Failure(.data, "gg.key.empty", "a key is empty", byteOffset: start) }
    guard length <= UInt64(maximumKeyBytes), length <= UInt64(reader.remaining) else {
      throw Failure(
        .data, "gg.key.length", "a key claims \(length) bytes; at most \(maximumKeyBytes) are allowed and \(reader.remaining) are left",
        byteOffset: start)
    }
    // The specification demands lower_snake_case segments. Published files have dashes and capitals in keys too, so only
    // bytes that are not visible ASCII are refused.
    let bytes = try reader.view(Int(length)).bytes
    guard bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
      throw Failure(.data, "gg.key.charset", "a key contains bytes that are not visible ASCII characters", byteOffset: start)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func alignment(_ metadata: KeyValues) throws(Failure) -> Int {
    guard let value = metadata["general.alignment"] else { return 32 }
    guard case .u32(let stored) = value else {
      throw Failure(.data, "gg.alignment.type", "general.alignment is not an unsigned 32-bit integer")
    }
    let alignment = Int(stored)
    guard alignment >= 8, alignment <= maximumAlignment, alignment & (alignment - 1) == 0 else {
      throw Failure(
        .data, "gg.alignment", "general.alignment is \(alignment), not a power of two from 8 to \(maximumAlignment)")
    }
    return alignment
  }

  private static func tensors(_ reader: inout ByteReader, count: Int) throws(Failure) -> [Tensor] {
    var tensors: [Tensor] = []
    var names: Set<String> = []
    for _ in 0..<count {
      let tensor = try GGUFTensorEntry.read(&reader)
      guard names.insert(tensor.name).inserted else {
        throw Failure(
          .data, "gg.tensor.duplicate", "appears twice in the table of tensors", tensor: tensor.name, byteOffset: tensor.entryOffset)
      }
      tensors.append(tensor)
    }
    return tensors
  }

  static let again: Remedy = "Fetch the file again; it is incomplete."
  static let overflow = Failure(.data, "gg.overflow", "has a size that does not fit in 64 bits")
  private static let bigEndian = Failure(
    .data, "gg.big-endian", "is in big-endian byte order, which is not supported", byteOffset: 0,
    remedy: "Convert it with llama.cpp's gguf_convert_endian.py.")

  /// The failure for a file that ends inside one of its parts.
  static func truncated(_ part: String) -> Failure {
    Failure(.data, "gg.truncated", "is cut off inside the \(part)", remedy: again)
  }
}

extension Failure {
  /// The same failure with the byte offset filled in.
  func atByte(_ offset: Int?) -> Failure {
    var copy = self
    copy.byteOffset = copy.byteOffset ?? offset
    return copy
  }
}
