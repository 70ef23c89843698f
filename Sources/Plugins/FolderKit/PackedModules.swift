public import QuantCore

/// Linear layers whose weight is stored as `X.qweight` and tensors beside it (GPTQ, AWQ).
public enum PackedModules {
  /// Suffixes of the tensors that make up a weight.
  private static let suffixes = ["qweight", "qzeros", "scales", "g_idx"]

  /// Replaces the tensors of each packed layer by its weight, in the place of the first. Which layers are packed is found from
  /// the tensors: configurations leave out what was left out.
  ///
  /// Early writers gave every packed layer a bias, of zeros where the model has none. Where all layers have one and all are zeros,
  /// they are dropped.
  /// - Parameters:
  ///   - method: for messages.
  ///   - weight: the weight of a module from its tensors by suffix; `qweight`, `qzeros` and `scales` are there.
  /// - Throws: `Failure` `packed.parts` where a tensor is missing, `packed.none` where no layer is packed.
  public static func unpack(
    _ stored: [CheckpointTensor], method: String, weight: (_ module: String, _ parts: [String: CheckpointTensor]) throws -> CheckpointTensor
  ) throws -> [CheckpointTensor] {
    var parts: [String: [String: CheckpointTensor]] = [:]
    for tensor in stored {
      if let (module, suffix) = split(tensor.name) { parts[module, default: [:]][suffix] = tensor }
    }
    guard !parts.isEmpty else {
      throw Failure(
        .data, "packed.none", "the configuration says that weights are packed for \(method), and there is no tensor 'qweight'",
        remedy: "Give the config.json that belongs to these weights.")
    }
    let biases = Set(parts.keys.map { $0 + ".bias" })
    let zeros = stored.filter { biases.contains($0.name) && isZero($0) }.map(\.name)
    let dropped = zeros.count == parts.count ? Set(zeros) : []
    var result: [CheckpointTensor] = []
    for tensor in stored where !dropped.contains(tensor.name) {
      guard let (module, _) = split(tensor.name) else {
        result.append(tensor)
        continue
      }
      // Taken with the first of its tensors.
      guard let own = parts.removeValue(forKey: module) else { continue }
      for suffix in suffixes.prefix(3) where own[suffix] == nil {
        throw Failure(.data, "packed.parts", "has no tensor '\(module).\(suffix)'", tensor: module + ".weight")
      }
      result.append(try weight(module, own))
    }
    return result
  }

  private static func split(_ name: String) -> (module: String, suffix: String)? {
    for suffix in suffixes where name.hasSuffix("." + suffix) { return (String(name.dropLast(suffix.count + 1)), suffix) }
    return nil
  }

  private static func isZero(_ tensor: CheckpointTensor) -> Bool {
    tensor.storage.verbatim?.withUnsafeBytes { $0.allSatisfy { $0 == 0 } } ?? false
  }
}
