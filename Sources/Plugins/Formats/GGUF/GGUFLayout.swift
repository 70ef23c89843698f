public import QuantCore

extension GGUFFormat: ModelFormat, AdapterFormat {
  public static var defaultScheme: String { "q4_k_m" }
  /// What most published files of towers hold.
  public static var towerScheme: String? { "f16" }

  /// llama.cpp aborts on vectors and norms that are not 32-bit floats. Other tensors keep 16-bit floats, so that nothing is
  /// rounded unasked. Tensors that already come from a GGUF stay as they are.
  public static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String {
    if tensor.configuration?.keyValues != nil { return stored }
    let isMatrix = tensor.shape.drop { $0 == 1 }.count >= 2
    if isMatrix, QuantizableTensors.keepsFloats(tensor), let type = type ?? FloatSchemes.schemeNames.first(where: { $0 == stored }) {
      return type
    }
    guard isMatrix, !tensor.name.hasSuffix("_norm.weight"), QuantizableTensors.contains(tensor), !QuantizableTensors.needsLongFloats(tensor)
    else {
      return ElementType.allCases.contains { $0.schemeName == stored && !$0.isFloat } ? stored : "f32"
    }
    return stored
  }

  /// What llama-quantize would quantize. A scale of the whole tensor is stored beside it as `X.scale`, which llama.cpp does not look for
  /// beside an embedding: such a file would not load.
  public static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
    QuantizableTensors.contains(tensor) && (scheme?.sharedScale == nil || tensor.name != "token_embd.weight")
      && (scheme?.grid.kind != .float || !QuantizableTensors.needsLongFloats(tensor))
  }

  public static func refusal(of model: ModelDescription) -> Failure? {
    guard model.architecture(naming) == nil else { return nil }
    return Failure(
      .unsupported, "gguf.architecture",
      model.obstacles[naming] ?? "llama.cpp has no architecture for this model of family '\(model.family)'",
      remedy: "Write a Hugging Face folder instead.")
  }

  public static func preTokenizerEdits(
    _ name: String?, source: Checkpoint, _ warnings: inout [String]
  ) throws(Failure) -> [MetadataEdit] {
    let splitsText = source.metadata["tokenizer.ggml.model"]?.stringValue == "gpt2"
    guard let name else {
      if splitsText, source.metadata[TokenizerData.preTokenizerKey] == nil {
        warnings.append(
          "the file does not name its pre-tokenizer: llama.cpp falls back to its default, which may give other tokens than "
            + "the model was trained on; name it with --pre NAME")
      }
      return []
    }
    guard splitsText else { throw Tokenizers.unusedPreTokenizer(file: source.path) }
    if !Tokenizers.knows(preTokenizer: name) {
      warnings.append("the pre-tokenizer '\(name)' is unknown to qconvert; it is written as given")
    }
    return [MetadataEdit(key: TokenizerData.preTokenizerKey, value: .string(name))]
  }

  public static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor] { try GGUFAdapter.tensors(of: adapter) }
  public static var holdsStacks: Bool { true }

  /// Rows that no block of 8-bit codes divides, such as those of B if the rank is below 32, stay 16-bit floats.
  public static func scheme(bits: Int, columns: Int) -> String? {
    switch bits {
    case 16: "f16"
    case 8: columns.isMultiple(of: 32) ? "q8_0" : "f16"
    default: nil
    }
  }

  /// Length of the longest name that llama.cpp supports, in bytes.
  private static let maximumNameLength = 63
  private static let maximumDimensions = 4
  /// The default. llama-quantize ignores any other alignment that a file states, and then writes a corrupt file.
  private static let alignment = 32

  /// llama-quantize decides by the names of tensors.
  public static var knowsLayersByName: Bool { true }
  public static var splits: Bool { true }
  public static var holdsKeyValues: Bool { true }

  public static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)? {
    BlockFallback.replacing(scheme, columns: columns).map { ($0.scheme, $0.note) }
  }

  /// One file, or those into which `GGUFSplit` cuts it: the first has the metadata, and each states its index and the count.
  public static func layout(_ request: OutputRequest) throws -> OutputLayout {
    let values = try GGUFMetadata.keyValues(request)
    let split = try GGUFSplit(request)
    var layout = OutputLayout(isFolder: false, files: [], placements: [])
    for (file, parts) in split.files.enumerated() {
      var own = file == 0 ? values : KeyValues()
      split.state(file, in: &own)
      let header = try header(own, parts.map(\.stored))
      let start = header.bytes.count
      layout.files.append(.init(name: split.name(of: file), size: start + header.dataSize, literals: [(0, header.bytes)]))
      layout.placements += zip(parts, header.offsets).map { part, offset in
        OutputLayout.Placement(tensor: part.tensor, part: part.part, file: file, offset: start + offset, byteCount: part.stored.byteCount)
      }
    }
    return layout
  }

  /// Everything before the data, padded to where the data begins.
  /// - Returns: the bytes; the offset of each part from the start of the data; and the size of the data, last padding included.
  static func header(_ values: KeyValues, _ parts: [StoredPart]) throws(Failure) -> (
    bytes: [UInt8], offsets: [Int], dataSize: Int
  ) {
    try CheckpointLimits.check(tensorsOfFile: parts.count)
    var writer = GGUFWriter()
    writer.append(UInt32(0x4655_4747))
    writer.append(UInt32(3))
    writer.append(UInt64(parts.count))
    writer.append(UInt64(values.entries.count))
    for (key, value) in values.entries {
      writer.append(key)
      writer.append(value)
    }
    var offsets: [Int] = []
    var names: Set<String> = []
    var offset = 0
    for part in parts {
      guard names.insert(part.name).inserted else {
        throw Failure(.unsupported, "gg.name", "two tensors would have this name", tensor: part.name)
      }
      try describe(part, offset: offset, in: &writer)
      offsets.append(offset)
      offset = aligned(offset + part.byteCount)
    }
    writer.pad(to: alignment)
    return (writer.bytes, offsets, offset)
  }

  /// Name, dimensions (innermost first), type and offset of one tensor.
  private static func describe(_ part: StoredPart, offset: Int, in writer: inout GGUFWriter) throws(Failure) {
    guard part.name.utf8.count <= maximumNameLength else {
      throw Failure(
        .unsupported, "gg.name", "has a name of \(part.name.utf8.count) bytes, but GGUF allows \(maximumNameLength)", tensor: part.name)
    }
    guard part.shape.count <= maximumDimensions else {
      throw Failure(.unsupported, "gg.dimensions", "has \(part.shape.count) dimensions, but GGUF allows at most 4", tensor: part.name)
    }
    guard let type = GGUFTensorType.type(of: part.type) else {
      let scheme =
        switch part.type {
        case .element(let type): type.schemeName
        case .blocks(let name): name
        }
      throw Failure(.unsupported, "gg.type", "is stored as '\(scheme)', for which GGUF has no type", tensor: part.name)
    }
    writer.append(part.name)
    // A scalar becomes a vector of one element.
    let dimensions = part.shape.isEmpty ? [1] : part.shape
    writer.append(UInt32(dimensions.count))
    for length in dimensions.reversed() { writer.append(UInt64(length)) }
    writer.append(type.id)
    writer.append(UInt64(offset))
  }

  /// The size of some data after padding to the alignment.
  static func aligned(_ value: Int) -> Int { (value + alignment - 1) / alignment * alignment }
}
