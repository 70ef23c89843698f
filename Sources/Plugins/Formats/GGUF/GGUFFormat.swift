public import QuantCore

/// GGUF, the format of llama.cpp: one file, or shards made by gguf-split, with configuration and tokenizer inside.
///
/// Specification: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
public struct GGUFFormat: Sendable {
  public static let id = "gguf"
  public static let summary = "GGUF, llama.cpp's format: weights, configuration and tokenizer in one file."
  public static let reference = "https://github.com/ggml-org/ggml/blob/master/docs/gguf.md"
  public static let fileExtensions = ["gguf"]
  public static let isFolder = false
  public static let naming = Naming(rawValue: "gguf")
  public static let typesSayAll = true

  /// Whether the path is a file that begins with the magic bytes, or has the extension.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFile(path) else { return false }
    if path.hasSuffix(".gguf") { return true }
    guard let file = try? MappedFile(path) else { return false }
    return file.contents.withUnsafeBytes { $0.starts(with: Array("GGUF".utf8)) }
  }

  /// Opens the file; given any one of several shards, opens all of them. Reads only headers.
  /// - Throws: `Failure` `input.…`, `gg.…`, `limit.…`, `model.…`.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let shards = try GGUFShard(path).family()
    let first = shards[0]
    let tensors = ScaledStorage.folding(
      shards.flatMap { $0.tensors }, architecture: first.metadata["general.architecture"]?.stringValue)
    var warnings = shards.flatMap { $0.warnings }
    let adapter: LowRankAdapter?
    do {
      try GGUFModelChecks(metadata: first.metadata, keyOffsets: first.keyOffsets, tensors: tensors).run(&warnings)
      adapter = try GGUFAdapter.read(first.metadata, tensors)
    } catch {
      throw error.inFile(path)
    }
    var checkpoint = Checkpoint(
      path: path, format: id, tensors: tensors, naming: naming, configuration: configuration(first.metadata), metadata: first.metadata,
      companionFolder: options.tokenizerPath.map { Files.isFolder($0) ? $0 : Files.folder(of: $0) },
      files: shards.map { $0.file.path }, warnings: warnings, mappings: shards.map { $0.file })
    for (index, shard) in shards.enumerated() {
      for tensor in shard.tensors { checkpoint.fileIndices[tensor.name] = index }
    }
    checkpoint.adapter = adapter
    checkpoint.findings = GGUFTokenizerFindings.all(first.metadata) + experts(of: tensors)
    return checkpoint
  }

  /// Experts as llama.cpp stored them before April 2024.
  private static func experts(of tensors: [CheckpointTensor]) -> [Finding] {
    let single = tensors.map(\.name).filter { name in
      let parts = name.split(separator: ".")
      return parts.count == 5 && parts[0] == "blk" && ["ffn_gate", "ffn_up", "ffn_down"].contains(parts[2]) && Int(parts[3]) != nil
    }
    return Finding.grouped(
      .error, "gg.single-experts", "is the matrix of one expert, as llama.cpp stored them before April 2024 and no longer loads them",
      in: single, remedy: "Convert the model's Hugging Face folder again.")
  }

  /// A configuration from the keys of a file, which name their architecture.
  static func configuration(_ metadata: KeyValues) -> Configuration {
    Configuration(metadata, architecture: metadata["general.architecture"]?.stringValue)
  }

  public static func role(ofTensor name: String) -> TensorRole? {
    switch name {
    case "token_embd.weight", "per_layer_token_embd.weight": .tokenEmbedding
    case "output.weight": .output
    default: nil
    }
  }

  public static func tokenizer(of checkpoint: Checkpoint) throws -> TokenizerData? { try TokenizerData(ggufMetadata: checkpoint.metadata) }

  public static func generationSettings(of checkpoint: Checkpoint) -> [JSON.Member] { GGUFSampling.settings(checkpoint.metadata) }
}
