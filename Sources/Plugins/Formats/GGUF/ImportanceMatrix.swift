public import QuantCore

/// llama.cpp's importance matrix in a GGUF file: for each matrix the sums of squares `NAME.in_sum2` `[columns]` and the number
/// of tokens `NAME.counts` `[1]`, both F32; with experts `[experts, columns]` and `[experts, 1]`.
///
/// Reference: `tools/imatrix/imatrix.cpp` and `common/imatrix-loader.cpp` of llama.cpp.
public enum ImportanceMatrix: ImportanceFormat {
  public static let id = "imatrix"
  public static let summary = "llama.cpp's importance matrix in a GGUF file."
  public static let reference = "https://github.com/ggml-org/llama.cpp/tree/master/tools/imatrix"
  public static let fileExtensions = ["gguf"]
  public static let naming = GGUFFormat.naming

  private static let sums = ".in_sum2"
  private static let counts = ".counts"

  public static func recognises(_ path: String) -> Bool {
    guard let file = try? MappedFile(path) else { return false }
    return file.contents.withUnsafeBytes { $0.starts(with: Array("GGUF".utf8)) }
  }

  public static func read(_ path: String) throws -> Importance {
    let shard = try GGUFShard(path)
    let tensors = Dictionary(shard.tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var entries: [String: Importance.Entry] = [:]
    for tensor in shard.tensors where tensor.name.hasSuffix(sums) {
      let name = String(tensor.name.dropLast(sums.count))
      guard let count = tensors[name + counts] else { throw mismatch("has sums but no counts", path, name) }
      guard tensor.storage.elementType == .f32, count.storage.elementType == .f32 else {
        throw mismatch("has sums or counts that are not F32", path, name)
      }
      let tokens = count.matrix().values
      let values = tensor.matrix().values
      guard !tokens.isEmpty, !values.isEmpty, values.count.isMultiple(of: tokens.count) else {
        throw mismatch("has \(values.count) sums for \(tokens.count) counts", path, name)
      }
      guard tokens.allSatisfy({ $0 >= 0 && $0 < 0x1p62 }) else {
        throw mismatch("has counts that are not numbers of tokens", path, name)
      }
      let whole = tokens.map { Int($0.rounded()) }
      let width = values.count / tokens.count
      // Columns that no token reached all have the same importance.
      let means = values.indices.map { i in whole[i / width] > 0 ? values[i] / Float(whole[i / width]) : 1 }
      entries[name] = Importance.Entry(meanSquares: means, tokens: whole)
    }
    guard !entries.isEmpty else {
      throw Failure(
        .data, "importance.kind", "is a GGUF file without sums of squares", file: path,
        remedy: "Give a file that llama-imatrix or \(command: "calibrate") wrote.")
    }
    var importance = Importance(entries: entries)
    if case .strings(let texts)? = shard.metadata["imatrix.datasets"] { importance.texts = texts }
    importance.windows = shard.metadata["imatrix.chunk_count"]?.intValue ?? 0
    importance.context = shard.metadata["imatrix.chunk_size"]?.intValue ?? 0
    return importance
  }

  private static func mismatch(_ message: String, _ path: String, _ name: String) -> Failure {
    Failure(.data, "importance.entry", message, file: path, tensor: name, remedy: "Create the file again; it is damaged.")
  }

  public static func bytes(_ importance: Importance) throws -> [UInt8] {
    var values = KeyValues()
    values["general.type"] = .string("imatrix")
    values["imatrix.datasets"] = .strings(importance.texts)
    values["imatrix.chunk_count"] = .u32(UInt32(clamping: importance.windows))
    values["imatrix.chunk_size"] = .u32(UInt32(clamping: importance.context))
    var parts: [StoredPart] = []
    var data: [[Float]] = []
    for (name, entry) in importance.entries.sorted(by: { $0.key < $1.key }) {
      let experts = max(1, entry.tokens.count), width = entry.meanSquares.count / experts
      let sums = entry.meanSquares.indices.map { entry.meanSquares[$0] * Float(entry.tokens[$0 / max(1, width)]) }
      let leading = experts > 1 ? [experts] : []
      parts += [
        StoredPart(name: name + ImportanceMatrix.sums, shape: leading + [width], type: .element(.f32), byteCount: 4 * sums.count),
        StoredPart(name: name + ImportanceMatrix.counts, shape: leading + [1], type: .element(.f32), byteCount: 4 * experts),
      ]
      data += [sums, entry.tokens.map { Float($0) }]
    }
    let header = try GGUFFormat.header(values, parts)
    var bytes = header.bytes
    for (offset, values) in zip(header.offsets, data) {
      bytes += [UInt8](repeating: 0, count: header.bytes.count + offset - bytes.count)
      values.withUnsafeBytes { bytes += $0 }
    }
    return bytes + [UInt8](repeating: 0, count: header.bytes.count + header.dataSize - bytes.count)
  }
}

/// llama.cpp's importance matrix in the form before GGUF: the number of entries, then name, calls and values of each; integers and
/// floats are little-endian and 32 bits wide. Values are mean squares times the number of calls.
public enum LegacyImportanceMatrix: ImportanceFormat {
  public static let id = "imatrix-dat"
  public static let summary = "llama.cpp's importance matrix in its old binary format."
  public static let reference = "https://github.com/ggml-org/llama.cpp/blob/master/common/imatrix-loader.cpp"
  public static let fileExtensions = ["dat"]
  public static let naming = GGUFFormat.naming

  private static let maximumEntries = 100_000
  private static let maximumNameBytes = 65_535

  /// The format has no signature: it is recognised by a plausible number of entries and a first name of visible characters.
  public static func recognises(_ path: String) -> Bool {
    guard let file = try? MappedFile(path) else { return false }
    var reader = ByteReader(file.contents)
    guard let count = try? reader.u32(), count >= 1, count <= UInt32(maximumEntries), let name = try? name(&reader) else { return false }
    return name.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f }
  }

  public static func read(_ path: String) throws -> Importance {
    let file = try MappedFile(path)
    var reader = ByteReader(file.contents)
    do {
      return try read(&reader)
    } catch {
      throw error.inFile(path)
    }
  }

  private static func read(_ reader: inout ByteReader) throws(Failure) -> Importance {
    let count = try reader.u32(truncated)
    guard count >= 1, count <= UInt32(maximumEntries) else {
      throw Failure(.data, "importance.entry", "claims \(count) entries", byteOffset: 0, remedy: "Check that this is the right file.")
    }
    var importance = Importance(entries: [:])
    for _ in 0..<count {
      let start = reader.offset
      let name = try name(&reader)
      let calls = try Int(reader.u32(truncated)), length = try Int(reader.u32(truncated))
      guard length >= 1, length <= reader.remaining / 4, calls <= Int(Int32.max) else {
        throw Failure(
          .data, "importance.entry", "claims \(length) values from \(calls) calls", tensor: name, byteOffset: start,
          remedy: "Fetch the file again; it is incomplete.")
      }
      var values: [Float] = []
      values.reserveCapacity(length)
      for _ in 0..<length { values.append(Float(bitPattern: try reader.u32(truncated)) / Float(max(1, calls))) }
      guard importance.entries.updateValue(.init(meanSquares: values, tokens: [calls]), forKey: name) == nil else {
        throw Failure(.data, "importance.entry", "appears twice", tensor: name, byteOffset: start)
      }
    }
    // Older files end here.
    guard reader.remaining > 0 else { return importance }
    importance.windows = Int(try reader.u32(truncated))
    if reader.remaining > 0, let text = try? name(&reader) { importance.texts = [text] }
    return importance
  }

  private static func name(_ reader: inout ByteReader) throws(Failure) -> String {
    let start = reader.offset
    let length = try reader.u32(truncated)
    guard length >= 1, length <= UInt32(maximumNameBytes) else {
      throw Failure(.data, "importance.entry", "a name claims \(length) bytes", byteOffset: start)
    }
    guard let name = String(validating: try reader.view(Int(length), truncated).bytes, as: UTF8.self) else {
      throw Failure(.data, "importance.entry", "a name is not UTF-8", byteOffset: start)
    }
    return name
  }

  private static var truncated: Failure {
    Failure(.data, "importance.entry", "is cut off", remedy: "Fetch the file again; it is incomplete.")
  }

  /// One call is one window, rounded up: the format does not store the number of tokens.
  public static func bytes(_ importance: Importance) throws -> [UInt8] {
    var writer = GGUFWriter()
    writer.append(UInt32(clamping: importance.entries.count))
    for (name, entry) in importance.entries.sorted(by: { $0.key < $1.key }) {
      let tokens = entry.tokens.max() ?? 0, context = max(1, importance.context)
      let calls = UInt32(clamping: max(1, (tokens + context - 1) / context))
      writer.appendShort(name)
      writer.append(calls)
      writer.append(UInt32(clamping: entry.meanSquares.count))
      for value in entry.meanSquares { writer.append((value * Float(calls)).bitPattern) }
    }
    writer.append(UInt32(clamping: importance.windows))
    writer.appendShort(importance.texts.last ?? "")
    return writer.bytes
  }
}

extension GGUFWriter {
  /// Length in 32 bits, then the bytes.
  fileprivate mutating func appendShort(_ text: String) {
    append(UInt32(clamping: text.utf8.count))
    for byte in text.utf8 { append(byte) }
  }
}
