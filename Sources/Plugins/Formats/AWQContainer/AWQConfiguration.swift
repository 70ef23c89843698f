import FolderKit
import QuantCore

/// `quantization_config` (or `quant_config.json`) of an AWQ checkpoint.
struct AWQConfiguration {
  /// Inputs per group; nil for all.
  let groupLength: Int?
  /// Words in the names of layers that are not quantized.
  private let unquantized: [String]

  /// - Returns: nil if the configuration is that of another method.
  /// - Throws: `Failure` for a variant of the packing that is not supported.
  init?(_ json: JSON) throws(Failure) {
    let isOwnFile = json["quant_method"] == nil && json["w_bit"] != nil && json["q_group_size"] != nil
    let isAutoRound =
      ["auto-round", "intel/auto-round"].contains(json["quant_method"]?.stringValue)
      && json["packing_format"]?.stringValue == "auto_round:auto_awq"
    guard json["quant_method"]?.stringValue == "awq" || isOwnFile || isAutoRound else { return nil }
    let version = json["version"]?.stringValue?.lowercased() ?? "gemm"
    guard version == "gemm" || isAutoRound else {
      throw Failure(
        .unsupported, "awq.version", "the weights are packed for AWQ's '\(version)' kernels; only 'gemm' is supported",
        remedy: "Give the unquantized model.")
    }
    let bits = (json["bits"] ?? json["w_bit"])?.intValue
    guard bits == AWQGEMM.layout.bits else {
      throw Failure(.unsupported, "awq.bits", "AWQ's packing holds 4-bit codes, but the configuration says \(bits ?? 0) bits")
    }
    guard json["zero_point"]?.boolValue != false else {
      throw Failure(.unsupported, "awq.zero-point", "AWQ without zero points is not supported", remedy: "Give the unquantized model.")
    }
    guard let length = (json["group_size"] ?? json["q_group_size"])?.intValue, length == -1 || length > 0 else {
      throw Failure(.data, "awq.config", "the configuration has no 'group_size', or one that is neither -1 nor positive")
    }
    groupLength = length == -1 ? nil : length
    unquantized = (json["modules_to_not_convert"]?.arrayValue ?? []).compactMap(\.stringValue)
  }

  /// Whether clients expect a layer to be packed. `lm_head` never is in this packing.
  func expectsQuantized(_ module: String) -> Bool { module != "lm_head" && !isUnquantized(module) }

  private func isUnquantized(_ module: String) -> Bool {
    let words = module.split(separator: ".")
    // Clients look for the text anywhere in the name, but whole words of it are meant.
    return unquantized.contains { module == $0 || words.contains($0[...]) }
  }

  /// - Throws: `Failure` `awq.ignored` if the configuration says that the layer is not quantized.
  func checkPacked(_ module: String) throws(Failure) {
    guard isUnquantized(module) else { return }
    throw Failure(
      .data, "awq.ignored", "is packed, but 'modules_to_not_convert' in the configuration says that it is not quantized",
      tensor: module + ".weight")
  }

  /// - Throws: `Failure` `awq.mixed` if layers differ in their groups: the configuration has one group size for all.
  static func json(modules: [QuantizedModule], unquantized: [String]) throws(Failure) -> JSON? {
    guard let grid = modules.first?.scheme.grid else { return nil }
    if let other = modules.first(where: { $0.scheme.grid.groupLength != grid.groupLength }) {
      throw Failure(
        .unsupported, "awq.mixed", "is stored as \(other.scheme.name), but other layers are not: an AWQ folder has one group size",
        tensor: other.name + ".weight", remedy: "Choose one scheme for all layers, or another packing.")
    }
    // vLLM looks for names anywhere in those of its modules, which it renames itself; transformers matches expressions.
    let left = unquantized.filter { $0 != "lm_head" }
    let expressions = LayerPatterns(besides: modules.map(\.name)).entries(for: left).compactMap { entry -> String? in
      if case .expression(let expression) = entry { expression } else { nil }
    }
    return .object([
      .init("quant_method", .string("awq")),
      .init("bits", .int(AWQGEMM.layout.bits)),
      .init("group_size", .int(grid.groupLength ?? -1)),
      .init("zero_point", .bool(true)),
      .init("version", .string("gemm")),
      .init("modules_to_not_convert", left.isEmpty ? .null : .array((left + expressions).map { .string($0) })),
    ])
  }
}
