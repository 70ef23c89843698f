import FolderKit
public import QuantCore

extension HuggingFaceFormat: ModelFormat {
  public static var defaultScheme: String { "w4a16" }
  public static func caution(ofCompanions source: Checkpoint) -> String? { CopiedFiles.caution(of: source) }
  /// `quantization_config`.
  public static var namesPacking: Bool { true }

  /// Tensors that are not quantized stay as they are stored, unless the whole model is converted to a floating-point type: then
  /// vectors are too, as when a framework saves a model in a type. GGUF blocks become bfloat16.
  public static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String {
    guard let element = ElementType.allCases.first(where: { $0.schemeName == stored }) else { return type ?? "bf16" }
    return element.isFloat ? type ?? stored : stored
  }

  /// A floating-point type applies to every matrix. Codes are for the linear layers of the blocks alone: few clients read
  /// a quantized output matrix, and none a quantized embedding.
  public static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
    scheme?.grid.kind == .float ? tensor.shape.count >= 2 : tensor.isBlockLinear(of: model)
  }

  /// `config.json`, companion files, weights in one file or shards, a model card, and the index last: a client that finds the
  /// index finds everything that it names.
  public static func layout(_ request: OutputRequest) throws -> OutputLayout {
    let configuration = try ModelConfiguration.json(request)
    var files = [OutputLayout.File(name: "config.json", text: configuration.text(pretty: true) + "\n")]
    files += ModelConfiguration.files(request, configuration).map {
      OutputLayout.File(name: $0.name, text: $0.json.text(pretty: true) + "\n")
    }
    if let folder = request.source.companionFolder {
      files += try CopiedFiles.copies(from: folder)
      let taken = Set(files.map(\.name))
      files += try CopiedFiles.others(of: request.source).filter { !taken.contains($0.name) }
    } else if request.source.configuration?.keyValues != nil {
      files += try RebuiltFiles.companions(request)
    }
    let card = ModelCardText.model(request)
    let slots = card.slots(file: files.count)
    files.append(OutputLayout.File(name: "README.md", bytes: card.bytes))

    let shards = shards(try stacked(SafetensorsFile.entries(request.tensors), request, configuration), limit: request.shardSize)
    let metadata = SafetensorsFile.metadata(request.provenance)
    var placements: [OutputLayout.Placement] = []
    var index: [JSON.Member] = []
    var total = 0
    for (number, entries) in shards.enumerated() {
      let name = shards.count == 1 ? "model.safetensors" : "model-\(padded(number + 1))-of-\(padded(shards.count)).safetensors"
      let (file, places, names) = try SafetensorsFile.layout(entries, metadata: metadata, name: name, file: files.count)
      files.append(file)
      placements += places
      index += names.map { .init($0, .string(name)) }
      total += entries.reduce(0) { $0 + $1.stored.byteCount }
    }
    if shards.count > 1 {
      let json = JSON.object([.init("metadata", .object([.init("total_size", .int(total))])), .init("weight_map", .object(index))])
      files.append(OutputLayout.File(name: "model.safetensors.index.json", text: json.text(pretty: true) + "\n"))
    }
    return OutputLayout(isFolder: true, files: files, placements: placements, slots: slots, earlierNames: earlierNames)
  }

  /// The entries of each tensor, with those that the clients of the packing look for in one stack together.
  private static func stacked(
    _ tensors: [[SafetensorsFile.Entry]], _ request: OutputRequest, _ configuration: JSON
  ) throws -> [[SafetensorsFile.Entry]] {
    guard let packing = request.tensors.lazy.compactMap({ $0.packing as? any FolderPacking }).first else { return tensors }
    var result: [[SafetensorsFile.Entry]] = []
    var positions: [String: Int] = [:]
    for var entries in tensors {
      for index in entries.indices {
        entries[index].stack = try packing.stack(of: entries[index].stored.name, configuration: configuration)
      }
      guard let stack = entries.first?.stack else {
        result.append(entries)
        continue
      }
      if let position = positions[stack.name] {
        result[position] += entries
      } else {
        positions[stack.name] = result.count
        result.append(entries)
      }
    }
    return result
  }

  /// Files that a folder of this format can have, for any model and options.
  private static let earlierNames =
    ["config.json", "README.md", "*.safetensors", "*.safetensors.index.json", "*.qconvert.json"] + CompanionFiles.quantizationFiles
    + CopiedFiles.names

  /// Tensors in their order, with a new shard wherever the next one would exceed `limit`. The parts of one tensor stay
  /// together; a tensor larger than the limit gets its own shard.
  private static func shards(_ tensors: [[SafetensorsFile.Entry]], limit: Int?) -> [[SafetensorsFile.Entry]] {
    guard let limit else { return [tensors.flatMap { $0 }] }
    var result: [[SafetensorsFile.Entry]] = [[]]
    var size = 0
    for entries in tensors {
      let bytes = entries.reduce(0) { $0 + $1.stored.byteCount }
      if size > 0, size + bytes > limit {
        result.append([])
        size = 0
      }
      result[result.count - 1] += entries
      size += bytes
    }
    return result
  }

  private static func padded(_ number: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, 5 - text.count)) + text
  }
}

extension OutputLayout.File {
  /// A file whose content is known in full.
  init(name: String, bytes: [UInt8]) { self.init(name: name, size: bytes.count, literals: [(0, bytes)]) }

  init(name: String, text: String) { self.init(name: name, bytes: Array(text.utf8)) }
}
