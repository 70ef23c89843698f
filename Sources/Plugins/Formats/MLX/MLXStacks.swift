import QuantCore

/// Experts in mlx-lm: all of a layer are one tensor `[experts, …]` for each of their three matrices, called `switch_mlp.up_proj` where
/// the models of transformers have `experts.0.up_proj`, `experts.1.up_proj` and so on.
enum MLXStacks {
  /// What early mixtures call their matrices, and mlx-lm's names.
  private static let letters = [("w1", "gate_proj"), ("w2", "down_proj"), ("w3", "up_proj")]
  private static let projections = letters.map { $0.1 }
  /// The module around experts whose matrices are called by letters.
  private static let letteredModule = "block_sparse_moe"
  private static let parts = ["weight", "scales", "biases"]

  /// Where mlx-lm looks for a part of an expert's matrix; nil for any other name.
  static func stack(of name: String) -> (name: String, index: Int)? {
    let words = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard words.count >= 4, words[words.count - 4] == "experts", let index = Int(words[words.count - 3]), index >= 0,
      parts.contains(words[words.count - 1])
    else { return nil }
    let own = words[words.count - 2]
    guard let projection = letters.first(where: { $0.0 == own || $0.1 == own })?.1 else { return nil }
    return ((words.dropLast(4) + ["switch_mlp", projection, words[words.count - 1]]).joined(separator: "."), index)
  }

  /// The name of a layer in mlx-lm.
  static func module(_ name: String) -> String {
    stack(of: name + ".weight").map { String($0.name.dropLast(".weight".count)) } ?? name
  }

  /// A part of one matrix, and the module that mlx-lm has in its place.
  struct Part {
    var tensor: CheckpointTensor
    var module: String?
  }

  /// The stored tensors with each stack of experts divided into its matrices.
  /// - Throws: `Failure` `mlx.stack` for a stack that cannot be divided.
  static func divided(_ stored: [CheckpointTensor]) throws(Failure) -> [Part] {
    var result: [Part] = []
    for tensor in stored {
      if let matrices = try divided(tensor) { result += matrices } else { result.append(Part(tensor: tensor)) }
    }
    return result
  }

  static func holdsStack(_ stored: [CheckpointTensor]) -> Bool { stored.contains { words(ofStack: $0) != nil } }

  /// The words of a stack's name; nil for any other tensor. Some models have the stacks in the module of the experts.
  private static func words(ofStack tensor: CheckpointTensor) -> [String]? {
    guard tensor.shape.count == 3 else { return nil }
    let words = tensor.name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard words.count >= 3, ["switch_mlp", "experts"].contains(words[words.count - 3]), projections.contains(words[words.count - 2]),
      parts.contains(words[words.count - 1])
    else { return nil }
    return words
  }

  private static func divided(_ tensor: CheckpointTensor) throws(Failure) -> [Part]? {
    guard let words = words(ofStack: tensor) else { return nil }
    let count = tensor.shape[0], outside = Array(words.dropLast(3))
    guard let type = tensor.storage.elementType, let bytes = tensor.storage.verbatim, count > 0, bytes.count.isMultiple(of: count) else {
      throw Failure(.data, "mlx.stack", "is not a stack of matrices: its shape is \(tensor.shape)", tensor: tensor.name)
    }
    let projection = words[words.count - 2]
    let own = outside.last == letteredModule ? letters.first { $0.1 == projection }?.0 ?? projection : projection
    let size = bytes.count / count
    var matrices: [Part] = []
    for index in 0..<count {
      guard let slice = bytes.slice(index * size..<(index + 1) * size) else { return nil }
      let name = (outside + ["experts", String(index), own, words[words.count - 1]]).joined(separator: ".")
      matrices.append(
        Part(
          tensor: CheckpointTensor(name: name, shape: Array(tensor.shape.dropFirst()), storage: PlainStorage(type, slice)),
          module: words.dropLast().joined(separator: ".")))
    }
    return matrices
  }
}
