public import QuantCore

/// One file with a model's configuration and tensors.
///
/// `SHELF 1` and a line feed; a line of JSON, `{"config": …, "tensors": [{"name", "type", "shape", "offset"}, …]}`;
/// then the tensors, little-endian, each at a multiple of 64 bytes from the beginning of the file. The tokenizer is beside the file.
public enum ShelfFormat: ModelFormat {
  public static let id = "shelf"
  public static let summary = "One .shelf file with configuration and tensors."
  public static let reference = "the page that describes the format"
  public static let fileExtensions = ["shelf"]
  public static let isFolder = false
  /// Tensors have the names that transformers gives them. So families know the models in these files.
  public static let naming = Naming(rawValue: "huggingFace")

  private static let magic = Array("SHELF 1\n".utf8)
  private static let alignment = 64

  // MARK: Reading

  public static func recognises(_ path: String) -> Bool {
    guard Files.isFile(path), let file = try? MappedFile(path) else { return false }
    return file.contents.withUnsafeBytes { $0.starts(with: magic) }
  }

  /// Reads the header; tensors are decoded when somebody asks for their rows.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let file = try MappedFile(path)
    do throws(Failure) {
      let header = try header(file.contents)
      let tensors = try (header["tensors"]?.arrayValue ?? []).map { (entry) throws(Failure) in try tensor(entry, in: file.contents) }
      let config = header["config"]
      return Checkpoint(
        path: path, format: id, tensors: tensors, naming: naming,
        configuration: config.map { Configuration($0, architecture: $0["architectures"]?.arrayValue?.first?.stringValue) },
        companionFolder: Files.folder(of: path), files: [path], mappings: [file])
    } catch {
      throw error.inFile(path)
    }
  }

  private static func header(_ contents: ByteView) throws(Failure) -> JSON {
    guard contents.withUnsafeBytes({ $0.starts(with: magic) }), let rest = contents.slice(magic.count..<contents.count) else {
      throw Failure(.data, "shelf.signature", "does not begin with 'SHELF 1'", byteOffset: 0)
    }
    do throws(JSON.ParseError) {
      return try JSON.parsePrefix(rest).value
    } catch {
      throw error.failure()
    }
  }

  /// Nothing that comes from a file may trap: every number is checked before it is computed with.
  private static func tensor(_ entry: JSON, in contents: ByteView) throws(Failure) -> CheckpointTensor {
    guard let name = entry["name"]?.stringValue, let type = entry["type"]?.stringValue.flatMap({ ElementType(schemeName: $0) }),
      let shape = entry["shape"]?.arrayValue?.compactMap(\.intValue), shape.allSatisfy({ $0 >= 0 }),
      let offset = entry["offset"]?.intValue, offset >= 0
    else { throw Failure(.data, "shelf.tensor", "the header has an entry that describes no tensor: \(entry.text())") }
    guard let count = Checked.product(of: shape + [type.bitCount / 8]), let end = Checked.sum(offset, count),
      let bytes = contents.slice(offset..<end)
    else { throw Failure(.data, "shelf.truncated", "is not within the file", tensor: name, byteOffset: offset) }
    return CheckpointTensor(name: name, shape: shape, storage: PlainStorage(type, bytes))
  }

  // MARK: Writing

  public static let defaultScheme = "bf16"

  /// What is not quantized stays as it is stored, unless the whole model becomes a floating-point type.
  public static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String {
    guard let element = ElementType(schemeName: stored) else { return type ?? "bf16" }
    return element.isFloat ? type ?? stored : stored
  }

  /// There is no packing for these files but plain numbers, so every matrix may become another floating-point type.
  public static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
    tensor.shape.count >= 2
  }

  /// Where every tensor goes, and the bytes of the header. The host writes them, verifies them, and names the file when it is whole.
  public static func layout(_ request: OutputRequest) throws -> OutputLayout {
    let parts = request.tensors.enumerated().flatMap { index, tensor in
      tensor.parts.enumerated().map { (tensor: index, part: $0, stored: $1) }
    }
    // The header states offsets, and its own length moves them: they are made with room to spare.
    let room = aligned(magic.count + 1 + header(parts.map(\.stored), offsets: parts.map { _ in .max }, request).count)
    var offset = room
    var placements: [OutputLayout.Placement] = []
    for part in parts {
      placements.append(.init(tensor: part.tensor, part: part.part, file: 0, offset: offset, byteCount: part.stored.byteCount))
      offset = aligned(offset + part.stored.byteCount)
    }
    let bytes = magic + header(parts.map(\.stored), offsets: placements.map(\.offset), request)
    let padding = [UInt8](repeating: UInt8(ascii: " "), count: room - bytes.count - 1) + [UInt8(ascii: "\n")]
    let file = OutputLayout.File(name: "", size: offset, literals: [(0, bytes + padding)])
    return OutputLayout(isFolder: false, files: [file], placements: placements)
  }

  private static func header(_ parts: [StoredPart], offsets: [Int], _ request: OutputRequest) -> [UInt8] {
    let tensors = zip(parts, offsets).map { part, offset in
      var type = "f32"
      if case .element(let element) = part.type { type = element.schemeName }
      return JSON.object([
        .init("name", .string(part.name)), .init("type", .string(type)), .init("shape", .array(part.shape.map { .int($0) })),
        .init("offset", .int(offset)),
      ])
    }
    // A model that comes from elsewhere has keys of that format; its family knows how these are said here.
    let config = request.source.configuration?.json ?? request.model?.configurations[naming]?.json ?? .null
    return Array(JSON.object([.init("config", config), .init("tensors", .array(tensors))]).text().utf8)
  }

  private static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
}
