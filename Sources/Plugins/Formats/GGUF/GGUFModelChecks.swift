import QuantCore

/// Checks on what the metadata says about the model: values that clients divide by, loop over or index with.
struct GGUFModelChecks {
  let metadata: KeyValues
  /// Where each key begins in the file.
  let keyOffsets: [String: Int]
  let tensors: [CheckpointTensor]

  /// - Throws: `Failure` `gg.architecture.…`, `model.…`.
  func run(_ warnings: inout [String]) throws(Failure) {
    guard let architecture = metadata["general.architecture"] else {
      throw Failure(.data, "gg.architecture.missing", "does not state its architecture (general.architecture)", byteOffset: 24)
    }
    guard let name = architecture.stringValue else {
      throw bad("gg.architecture.type", "general.architecture", "is not a string")
    }
    // Adapters and projectors have the keys of a model that is not in the file.
    if metadata["general.type"]?.stringValue ?? "model" == "model" {
      try checkBlocks(name)
      try checkHeads(name)
      try checkExperts(name)
    }
    try checkTokenizer()
    try checkMerges()
    if let type = metadata["general.file_type"]?.intValue, !GGUFModelChecks.fileTypes.contains(type & ~1024) {
      warnings.append("general.file_type is \(type), which is unknown.")
    }
    if metadata["general.quantization_version"] == nil, tensors.contains(where: { $0.storage is BlockStorage }) {
      warnings.append("general.quantization_version is missing although tensors are quantized.")
    }
  }

  /// Values that have a meaning in llama.cpp; 1024 is a flag for a guessed type.
  private static let fileTypes = Set((Mix.table.map { $0.fileType } + BlockType.all.compactMap { $0.fileType }).map { Int($0) })

  private func bad(_ id: String, _ key: String, _ message: String) -> Failure {
    Failure(.data, id, "\(key) \(message)", byteOffset: keyOffsets[key])
  }

  private func checkBlocks(_ architecture: String) throws(Failure) {
    guard let blocks = metadata["\(architecture).block_count"]?.intValue, !tensors.isEmpty else { return }
    guard blocks >= 0, blocks <= tensors.count else {
      throw bad("model.block-count", "\(architecture).block_count", "is \(blocks), but the file has \(tensors.count) tensors")
    }
  }

  private func checkHeads(_ architecture: String) throws(Failure) {
    // Blocks without attention state 0 heads: as one number in state-space models, in a list in hybrid ones.
    let isRecurrent = metadata.entries.contains {
      $0.key.hasPrefix("\(architecture).ssm.") || $0.key.hasPrefix("\(architecture).wkv.")
    }
    guard let heads = metadata["\(architecture).attention.head_count"]?.intValue, !isRecurrent else { return }
    guard heads > 0 else {
      throw bad("model.head-count", "\(architecture).attention.head_count", "is \(heads), but must be positive")
    }
    if let shared = metadata["\(architecture).attention.head_count_kv"]?.intValue, shared <= 0 || heads % shared != 0 {
      throw bad(
        "model.head-count-kv", "\(architecture).attention.head_count_kv", "is \(shared), which does not divide the \(heads) heads")
    }
    let length =
      metadata["\(architecture).attention.key_length"]?.intValue
      ?? metadata["\(architecture).embedding_length"]?.intValue.map { $0 / heads }
    if let length, let rotated = metadata["\(architecture).rope.dimension_count"]?.intValue, rotated > length {
      throw bad(
        "model.rope-dimension", "\(architecture).rope.dimension_count", "is \(rotated), more than the \(length) dimensions of a head")
    }
  }

  private func checkExperts(_ architecture: String) throws(Failure) {
    guard let used = metadata["\(architecture).expert_used_count"]?.intValue,
      let count = metadata["\(architecture).expert_count"]?.intValue
    else { return }
    guard used <= count else {
      throw bad("model.expert-count", "\(architecture).expert_used_count", "is \(used), but there are only \(count) experts")
    }
  }

  private func checkTokenizer() throws(Failure) {
    guard case .strings(let tokens)? = metadata["tokenizer.ggml.tokens"] else { return }
    for name in ["token_type", "scores"] {
      let key = "tokenizer.ggml.\(name)"
      guard let length = metadata[key]?.arrayCount, length != tokens.count else { continue }
      throw bad("model.tokenizer.length", key, "has \(length) entries for \(tokens.count) tokens")
    }
    for (key, value) in metadata.entries where key.hasPrefix("tokenizer.ggml.") && key.hasSuffix("_token_id") {
      guard let id = value.intValue, !tokens.indices.contains(id) else { continue }
      // Converters write −1, often as an unsigned number, for "none".
      if id == -1 || id == Int(UInt32.max) { continue }
      throw bad("model.tokenizer.id-range", key, "is \(id), but there are only \(tokens.count) tokens")
    }
  }

  private func checkMerges() throws(Failure) {
    guard metadata["tokenizer.ggml.model"]?.stringValue == "gpt2", case .strings(let merges)? = metadata["tokenizer.ggml.merges"]
    else { return }
    for (index, merge) in merges.enumerated() where merge.utf8.count(where: { $0 == UInt8(ascii: " ") }) != 1 {
      throw bad(
        "model.tokenizer.merges", "tokenizer.ggml.merges",
        "has at position \(index) \(JSON.string(merge).text()) instead of two tokens separated by one space")
    }
  }
}

extension MetadataValue {
  /// Number of elements of an array of a type that tokenizers use, or nil.
  fileprivate var arrayCount: Int? {
    switch self {
    case .i32s(let values): values.count
    case .u32s(let values): values.count
    case .f32s(let values): values.count
    default: nil
    }
  }
}
