public import QuantCore

/// One safetensors file as it will be written: an 8-byte length, a JSON header padded with spaces to a multiple of 8, data.
struct SafetensorsFile {
  /// One stored part, with the tensor and part of the request that it is.
  struct Entry {
    var tensor: Int
    var part: Int
    var stored: StoredPart
    /// The tensor of the file in which it is one of several of the same shape; nil: it is a tensor of its own.
    var stack: (name: String, index: Int)?
  }

  /// One tensor of the file.
  private struct Run {
    let name: String
    let type: ElementType
    var members: [Entry]
    let isStack: Bool

    var shape: [Int] { (isStack ? [members.count] : []) + (members.first?.stored.shape ?? []) }
    var byteCount: Int { members.reduce(0) { $0 + $1.stored.byteCount } }
  }

  /// The tensors of the file, in the order of their first entries.
  /// - Throws: `Failure` for a part that has no safetensors type, two tensors with the same name, or a stack with gaps or of unlike parts.
  private static func runs(_ entries: [Entry]) throws -> [Run] {
    var runs: [Run] = []
    var positions: [String: Int] = [:]
    for entry in entries {
      let name = entry.stack?.name ?? entry.stored.name, type = try elementType(of: entry.stored)
      guard let position = positions[name] else {
        positions[name] = runs.count
        runs.append(Run(name: name, type: type, members: [entry], isStack: entry.stack != nil))
        continue
      }
      guard entry.stack != nil, runs[position].isStack else {
        throw Failure(.unsupported, "st.duplicate", "two tensors would get this name", tensor: name)
      }
      guard type == runs[position].type, entry.stored.shape == runs[position].members[0].stored.shape else {
        throw Failure(
          .unsupported, "st.stack", "clients look for it in '\(name)', whose other matrices have another type or shape",
          tensor: entry.stored.name, remedy: "Give all experts of a layer the same \(setting: "scheme").")
      }
      runs[position].members.append(entry)
    }
    for index in runs.indices where runs[index].isStack {
      runs[index].members.sort { ($0.stack?.index ?? 0) < ($1.stack?.index ?? 0) }
      guard runs[index].members.indices.allSatisfy({ runs[index].members[$0].stack?.index == $0 }) else {
        throw Failure(
          .unsupported, "st.stack", "clients look for all experts in it, but some are stored otherwise", tensor: runs[index].name,
          remedy: "Give all experts of a layer the same \(setting: "scheme").")
      }
    }
    return runs
  }

  /// Lays out `entries` without gaps. Larger element types come first: every tensor is then aligned to its element size, which
  /// PyTorch needs to view it in place.
  /// - Returns: also the names of the tensors, in the order of their first entries.
  /// - Throws: `Failure` as `runs`.
  static func layout(
    _ entries: [Entry], metadata: [(key: String, value: String)], name: String, file: Int
  ) throws -> (file: OutputLayout.File, placements: [OutputLayout.Placement], names: [String]) {
    let runs = try runs(entries)
    try CheckpointLimits.check(tensorsOfFile: runs.count)
    let ordered = runs.enumerated().sorted { ($1.element.type.bitCount, $0.offset) < ($0.element.type.bitCount, $1.offset) }
    var members = [JSON.Member("__metadata__", .object(metadata.map { .init($0.key, .string($0.value)) }))]
    var placements: [OutputLayout.Placement] = []
    var offset = 0
    for (_, run) in ordered {
      members.append(
        .init(
          run.name,
          .object([
            .init("dtype", .string(run.type.rawValue)), .init("shape", .array(run.shape.map { .int($0) })),
            .init("data_offsets", .array([.int(offset), .int(offset + run.byteCount)])),
          ])))
      for entry in run.members {
        placements.append(.init(tensor: entry.tensor, part: entry.part, file: file, offset: offset, byteCount: entry.stored.byteCount))
        offset += entry.stored.byteCount
      }
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
    return (.init(name: name, size: 8 + header.count + offset, literals: [(0, length + header)]), placements, runs.map { $0.name })
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
    let (file, placements, _) = try SafetensorsFile.layout(
      SafetensorsFile.entries(request.tensors).flatMap { $0 }, metadata: SafetensorsFile.metadata(request.provenance), name: "", file: 0)
    return OutputLayout(isFolder: false, files: [file], placements: placements)
  }
}
