public import QuantCore

extension GGUFFormat: CheckpointFormat {
  public static var defaultScheme: String { "q4_k_m" }
  public static var packingIDs: [String] { ["plain", "gguf"] }
  public static var naming: Naming { .gguf }

  /// llama.cpp aborts on vectors and norms that are not 32-bit floats. Other tensors keep 16-bit floats as they are, so
  /// that nothing is rounded without having been asked for.
  public static func unquantizedScheme(for tensor: PresetTensor, stored: String) -> String {
    let isMatrix = tensor.shape.drop { $0 == 1 }.count >= 2
    guard isMatrix, !tensor.name.hasSuffix("_norm.weight"), QuantizableTensors.contains(name: tensor.name, shape: tensor.shape) else {
      return ElementType.allCases.contains { $0.schemeName == stored && !$0.isFloat } ? stored : "f32"
    }
    return stored
  }

  /// What llama-quantize would quantize.
  public static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
    QuantizableTensors.contains(name: tensor.name, shape: tensor.shape)
  }

  /// Tensors that a GGUF has and the source does not: the frequency factors that llama3 scaling becomes.
  public static func extraTensors(_ model: ModelDescription) -> [(name: String, values: [Float])] {
    RopeFactors.values(model.parameters.rope).map { [(RopeFactors.name, $0)] } ?? []
  }

  /// Longest name that llama.cpp keeps, in bytes.
  private static let maximumNameLength = 63
  private static let maximumDimensions = 4
  /// The default. llama-quantize ignores any other that a file states, and then writes a corrupt one.
  private static let alignment = 32

  public static func layout(_ request: OutputRequest) throws -> OutputLayout {
    var writer = GGUFWriter()
    writer.append(UInt32(0x4655_4747))
    writer.append(UInt32(3))
    let values = try GGUFMetadata.keyValues(request)
    let stored = request.tensors.flatMap { $0.parts }
    writer.append(UInt64(stored.count))
    writer.append(UInt64(values.entries.count))
    for (key, value) in values.entries {
      writer.append(key)
      writer.append(value)
    }
    var places: [OutputLayout.Placement] = []
    var names: Set<String> = []
    var offset = 0
    for (index, tensor) in request.tensors.enumerated() {
      for (part, entry) in tensor.parts.enumerated() {
        guard names.insert(entry.name).inserted else {
          throw Failure(.unsupported, "gg.name", "two tensors would have this name", tensor: entry.name)
        }
        try describe(entry, offset: offset, in: &writer)
        places.append(.init(tensor: index, part: part, file: 0, offset: offset, byteCount: entry.byteCount))
        offset = aligned(offset + entry.byteCount)
      }
    }
    writer.pad(to: alignment)
    let start = writer.bytes.count
    for index in places.indices { places[index].offset += start }
    return OutputLayout(
      isFolder: false, files: [.init(name: "", size: start + offset, literals: [(0, writer.bytes)])], placements: places)
  }

  /// Name, dimensions (innermost first), type and offset of one tensor.
  private static func describe(_ part: StoredPart, offset: Int, in writer: inout GGUFWriter) throws(Failure) {
    guard part.name.utf8.count <= maximumNameLength else {
      throw Failure(
        .unsupported, "gg.name", "has a name of \(part.name.utf8.count) bytes, and GGUF holds \(maximumNameLength)", tensor: part.name)
    }
    guard part.shape.count <= maximumDimensions else {
      throw Failure(.unsupported, "gg.dimensions", "has \(part.shape.count) dimensions, and GGUF holds 4", tensor: part.name)
    }
    let scheme =
      switch part.type {
      case .element(let type): type.schemeName
      case .blocks(let name): name
      }
    guard let type = GGUFTensorType.type(schemeName: scheme) else {
      throw Failure(.unsupported, "gg.type", "is stored as '\(scheme)', for which GGUF has no type", tensor: part.name)
    }
    writer.append(part.name)
    // A scalar is a vector of one.
    let dimensions = part.shape.isEmpty ? [1] : part.shape
    writer.append(UInt32(dimensions.count))
    for length in dimensions.reversed() { writer.append(UInt64(length)) }
    writer.append(type.id)
    writer.append(UInt64(offset))
  }

  private static func aligned(_ value: Int) -> Int { (value + alignment - 1) / alignment * alignment }
}
