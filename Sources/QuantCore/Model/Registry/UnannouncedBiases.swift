/// Biases beside layers of a model whose configuration does not announce them. Some clients add them, others leave them out, so only zeros
/// are harmless.
package enum UnannouncedBiases {
  /// Names of the biases that the description of the model lacks.
  package static func names(in checkpoint: Checkpoint, _ model: ModelDescription) -> [String] {
    let known = Set(model.tensors.compactMap { $0.name(checkpoint.naming) })
    return checkpoint.tensors.map(\.name).filter { name in
      name.hasSuffix(".bias") && !known.contains(name) && known.contains(name.dropLast(".bias".count) + ".weight")
    }
  }

  /// Whether all elements of a tensor are zero.
  package static func isZero(_ name: String, in checkpoint: Checkpoint) -> Bool {
    guard let tensor = checkpoint[name], tensor.storage.isNumeric else { return false }
    return tensor.matrix().values.allSatisfy { $0 == 0 }
  }

  /// Refuses biases that are not zero.
  /// - Parameter describe: the description by another configuration; nil if there is none.
  /// - Throws: `Failure` `model.bias-unannounced`.
  static func check(
    _ checkpoint: Checkpoint, _ model: ModelDescription, describe: (Configuration) -> ModelDescription?
  ) throws(Failure) {
    let biases = names(in: checkpoint, model).filter { !isZero($0, in: checkpoint) }
    guard let first = biases.first else { return }
    let key = ["attention_bias", "mlp_bias", "use_bias"].first { key in
      guard let configuration = checkpoint.configuration, let members = configuration.json?.objectValue else { return false }
      let changed = members.filter { $0.key != key } + [JSON.Member(key, .bool(true))]
      let other = describe(Configuration(.object(changed), architecture: configuration.architecture))
      return other?.tensors.contains { $0.name(checkpoint.naming) == first } ?? false
    }
    let remedy: Remedy =
      key.map { "If the model needs it, set '\($0)' to true in the configuration, and give that with \(setting: "config")." }
      ?? "If the model does not need it, leave it out with \(setting: "drop") '*.bias'."
    throw Failure(
      .unsupported, "model.bias-unannounced",
      "is a bias that the configuration does not announce" + (biases.count == 1 ? "" : ", in \(biases.count) tensors"),
      file: checkpoint.path, tensor: first, remedy: remedy)
  }
}
