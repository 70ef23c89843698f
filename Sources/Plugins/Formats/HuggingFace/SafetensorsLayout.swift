public import QuantCore

/// One safetensors file as it will be written: an 8-byte length, a JSON header padded with spaces to a multiple of 8, data.
struct SafetensorsFile {
  /// One stored part, with the tensor and part of the request that it is.
  struct Entry {
    var tensor: Int
    var part: Int
    var stored: StoredPart
  }

  /// Lays out `entries` without gaps. Larger element types come first: every tensor is then aligned to its element size, which
  /// PyTorch needs to view it in place.
  /// - Throws: `Failure` for a part that has no safetensors type, or for two parts with the same name.
  static func layout(
    _ entries: [Entry], metadata: [(key: String, value: String)], name: String, file: Int
  ) throws -> (file: OutputLayout.File, placements: [OutputLayout.Placement]) {
    try CheckpointLimits.check(tensorsOfFile: entries.count)
    let typed = try entries.enumerated().map { index, entry in
      (index, entry, try elementType(of: entry.stored))
    }
    let ordered = typed.sorted { ($1.2.bitCount, $0.0) < ($0.2.bitCount, $1.0) }
    var members = [JSON.Member("__metadata__", .object(metadata.map { .init($0.key, .string($0.value)) }))]
    var placements: [OutputLayout.Placement] = []
    var names: Set<String> = []
    var offset = 0
    for (_, entry, type) in ordered {
      guard names.insert(entry.stored.name).inserted else {
        throw Failure(.unsupported, "st.duplicate", "two tensors would get this name", tensor: entry.stored.name)
      }
      let end = offset + entry.stored.byteCount
      members.append(
        .init(
          entry.stored.name,
          .object([
            .init("dtype", .string(type.rawValue)), .init("shape", .array(entry.stored.shape.map { .int($0) })),
            .init("data_offsets", .array([.int(offset), .int(end)])),
          ])))
      placements.append(.init(tensor: entry.tensor, part: entry.part, file: file, offset: offset, byteCount: entry.stored.byteCount))
      offset = end
    }
    var header = Array(JSON.object(members).text().utf8)
    while !header.count.isMultiple(of: 8) { header.append(UInt8(ascii: " ")) }
    guard header.count <= SafetensorsHeader.maximumHeaderBytes else {
      throw Failure(
        .unsupported, "limit.header",
        "the header would have \(header.count) bytes; at most \(SafetensorsHeader.maximumHeaderBytes) are allowed",
        remedy: "Write shards with \(setting: "shard-size").")
    }
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    for index in placements.indices { placements[index].offset += 8 + header.count }
    return (.init(name: name, size: 8 + header.count + offset, literals: [(0, length + header)]), placements)
  }

  private static func elementType(of part: StoredPart) throws -> ElementType {
    guard case .element(let type) = part.type else {
      throw Failure(.unsupported, "st.type", "GGUF blocks cannot be stored in safetensors", tensor: part.name)
    }
    return type
  }

  /// `__metadata__`: the framework that the tensors are for (transformers requires it), and how the file was made.
  static func metadata(_ provenance: [(key: String, value: String)]) -> [(key: String, value: String)] {
    [("format", "pt")] + provenance.map { ($0.key.hasPrefix("qconvert.") ? $0.key : "qconvert." + $0.key, $0.value) }
  }

  /// All parts of all tensors in the order of the request.
  static func entries(_ tensors: [PlannedTensor]) -> [[Entry]] {
    tensors.enumerated().map { index, tensor in
      tensor.parts.enumerated().map { Entry(tensor: index, part: $0, stored: $1) }
    }
  }
}

extension SafetensorsFormat: ModelFormat {
  /// A lone file has no place for a configuration, and integers mean nothing without one.
  public static var defaultScheme: String { "bf16" }
  public static var naming: Naming { HuggingFaceFormat.naming }
  public static var holdsAnyTensors: Bool { true }

  public static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String {
    HuggingFaceFormat.unquantizedScheme(for: tensor, stored: stored, type: type)
  }

  public static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
    HuggingFaceFormat.quantizes(tensor, as: scheme, model: model)
  }

  public static func layout(_ request: OutputRequest) throws -> OutputLayout {
    let (file, placements) = try SafetensorsFile.layout(
      SafetensorsFile.entries(request.tensors).flatMap { $0 }, metadata: SafetensorsFile.metadata(request.provenance), name: "", file: 0)
    return OutputLayout(isFolder: false, files: [file], placements: placements)
  }
}
