public import QuantCore

/// A lone safetensors file.
///
/// The file itself says nothing about the model; a `config.json` beside it is used where there is one. One of several
/// shards can be opened too, and then holds a part of the model only.
///
/// Specification: https://github.com/huggingface/safetensors
public struct SafetensorsFormat: Sendable {
  public static let id = "safetensors"
  public static let summary = "One safetensors file, with the config.json and tokenizer beside it."
  public static let reference = "https://github.com/huggingface/safetensors"
  public static let fileExtensions = ["safetensors"]
  public static let isFolder = false

  /// Whether the path is a file whose first bytes are a header length and an opening brace, or that is named like one.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFile(path) else { return false }
    if path.hasSuffix(".safetensors") { return true }
    guard let file = try? MappedFile(path) else { return false }
    var reader = ByteReader(file.contents)
    guard let length = try? reader.u64(), let first = try? reader.u8() else { return false }
    return length > 0 && length <= UInt64(SafetensorsHeader.maximumHeaderBytes) && first == UInt8(ascii: "{")
  }

  /// Opens the file. Reads its header and the configuration beside it.
  /// - Throws: `Failure` `input.…`, `st.…`, `limit.…`; `hf.…` where the configuration asks for something unknown.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let shard = try SafetensorsShard(path)
    let folder = Files.folder(of: path)
    let companions = try CompanionFiles(folder: folder, options: options)
    var warnings: [String] = []
    if let count = ShardName(Files.lastComponent(path))?.count, count > 1 {
      warnings.append("This is one of \(count) shards; open its folder for the whole model.")
    }
    let logical = try companions.logicalTensors(shard.tensors, packings: options.packings)
    var checkpoint = Checkpoint(
      path: path, format: id, tensors: logical.tensors,
      naming: .huggingFace, configuration: companions.configuration.map { .huggingFace($0) }, metadata: shard.metadata,
      companionFolder: companions.companionFolder, files: [path] + companions.files, warnings: warnings,
      mappings: [shard.file])
    checkpoint.take(logical, companions)
    return checkpoint
  }
}
