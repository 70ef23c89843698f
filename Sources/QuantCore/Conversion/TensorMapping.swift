/// Which output tensor each source tensor becomes. Nothing is lost: every source tensor is mapped, dropped by a rule that
/// is listed here, or an error.
struct TensorMapping {
  /// One output tensor before its scheme is sealed.
  struct Draft {
    let tensor: CheckpointTensor
    let name: String
    let shape: [Int]
    let id: TensorID?
    /// Order of rows in the output and in the source, each relative to the model's own.
    let rowOrder: RowOrder
    let sourceRowOrder: RowOrder
    let isQuantizable: Bool
    var schemeName = ""
    var scheme: (any Scheme)?
    var note: String?
  }

  /// Tensors that hold nothing a runtime could not compute, by the end of their names.
  private static let dropped = [".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias", ".masked_bias"]

  let source: Checkpoint
  let model: ModelDescription?
  let target: Naming

  func drafts(warnings: inout [String]) throws -> [Draft] {
    guard let model else { return source.tensors.map { unknownDraft($0) } }
    var known: [String: ModelTensor] = [:]
    for tensor in model.tensors { known[tensor.name(source.naming)] = tensor }
    try checkPresence(model)

    var drafts: [Draft] = []
    for tensor in source.tensors {
      guard let description = known[tensor.name] else {
        if target != source.naming {
          if TensorMapping.dropped.contains(where: { tensor.name.hasSuffix($0) }) { continue }
          throw Failure(
            .unsupported, "convert.unmapped", "family '\(model.family)' has no such tensor", file: source.path, tensor: tensor.name,
            remedy: "The checkpoint may be of another architecture than its configuration says.")
        }
        drafts.append(unknownDraft(tensor))
        continue
      }
      guard tensor.shape == description.shape else {
        throw Failure(
          .data, "model.tensor-shape", "shape is \(tensor.shape), but the configuration asks for \(description.shape)",
          file: source.path, tensor: tensor.name, remedy: "The configuration belongs to another checkpoint, or the file is damaged.")
      }
      if description.id.role == .output && model.parameters.tiesEmbeddings && target != source.naming {
        warnings.append("'\(tensor.name)' is dropped: the configuration ties the output to the embedding")
        continue
      }
      if description.id.role == .ropeFactors && target == .huggingFace { continue }
      drafts.append(
        Draft(
          tensor: tensor, name: target == source.naming ? tensor.name : description.name(target), shape: tensor.shape,
          id: description.id, rowOrder: target == .gguf ? description.ggufRowOrder : .same,
          sourceRowOrder: source.naming == .gguf ? description.ggufRowOrder : .same, isQuantizable: TensorMapping.isWeight(description.id)))
    }
    if target != source.naming {
      // The order of the forward pass, whatever the order of the shards.
      let position = Dictionary(model.tensors.enumerated().map { ($1.id, $0) }, uniquingKeysWith: { first, _ in first })
      drafts.sort { (position[$0.id ?? TensorID(.output)] ?? 0) < (position[$1.id ?? TensorID(.output)] ?? 0) }
    }
    return drafts
  }

  private func checkPresence(_ model: ModelDescription) throws {
    for tensor in model.tensors where !tensor.isOptional && source[tensor.name(source.naming)] == nil {
      throw Failure(
        .data, "model.tensor-missing", "a tensor that the configuration asks for is missing", file: source.path,
        tensor: tensor.name(source.naming), remedy: "A shard may be missing, or the configuration belongs to another checkpoint.")
    }
  }

  /// A tensor that no family describes keeps its name; whether it may be quantized is the container's decision.
  private func unknownDraft(_ tensor: CheckpointTensor) -> Draft {
    Draft(
      tensor: tensor, name: tensor.name, shape: tensor.shape, id: nil, rowOrder: .same, sourceRowOrder: .same,
      isQuantizable: tensor.storage.isNumeric && tensor.shape.count >= 2 && !tensor.shape.contains(0))
  }

  private static func isWeight(_ id: TensorID) -> Bool {
    if id.isBias { return false }
    switch id.role {
    case .outputNorm, .attentionNorm, .queryNorm, .keyNorm, .feedForwardNorm, .ropeFactors: return false
    default: return true
    }
  }
}
