import QuantCore

/// `quantization_config` (or `quant_config.json`) of an AWQ checkpoint.
struct AWQConfiguration {
  /// Inputs of a group; nil for all.
  let groupLength: Int?
  /// Parts of the names of layers that are not quantized.
  private let unquantized: [String]

  /// - Returns: nil where the configuration is another method's.
  /// - Throws: `Failure` for a form of the layout that is not read.
  init?(_ json: JSON) throws(Failure) {
    let isOwnFile = json["quant_method"] == nil && json["w_bit"] != nil && json["q_group_size"] != nil
    let isAutoRound =
      ["auto-round", "intel/auto-round"].contains(json["quant_method"]?.stringValue)
      && json["packing_format"]?.stringValue == "auto_round:auto_awq"
    guard json["quant_method"]?.stringValue == "awq" || isOwnFile || isAutoRound else { return nil }
    let version = json["version"]?.stringValue?.lowercased() ?? "gemm"
    guard version == "gemm" || isAutoRound else {
      throw Failure(
        .unsupported, "awq.version", "the weights are stored for AWQ's '\(version)' kernels, and only 'gemm' is read",
        remedy: "Give the unquantized model.")
    }
    let bits = (json["bits"] ?? json["w_bit"])?.intValue
    guard bits == AWQGEMM.layout.bits else {
      throw Failure(.unsupported, "awq.bits", "AWQ's layout has codes of 4 bits, and the configuration names \(bits ?? 0)")
    }
    guard json["zero_point"]?.boolValue != false else {
      throw Failure(.unsupported, "awq.zero-point", "AWQ's layout without zero points is not read", remedy: "Give the unquantized model.")
    }
    guard let length = (json["group_size"] ?? json["q_group_size"])?.intValue, length == -1 || length > 0 else {
      throw Failure(.data, "awq.config", "the configuration has no 'group_size', or one that is no length")
    }
    groupLength = length == -1 ? nil : length
    unquantized = (json["modules_to_not_convert"]?.arrayValue ?? []).compactMap(\.stringValue)
  }

  /// Whether readers take a layer for a packed one. The head is none in this layout.
  func expectsQuantized(_ module: String) -> Bool { module != "lm_head" && !isUnquantized(module) }

  private func isUnquantized(_ module: String) -> Bool {
    let words = module.split(separator: ".")
    // Readers look for the text anywhere in the name; what is meant are whole words of it.
    return unquantized.contains { module == $0 || words.contains($0[...]) }
  }

  /// - Throws: `Failure` `awq.ignored` where the configuration says that a layer is not quantized.
  func checkPacked(_ module: String) throws(Failure) {
    guard isUnquantized(module) else { return }
    throw Failure(
      .data, "awq.ignored", "is packed, and 'modules_to_not_convert' of the configuration says that it is not quantized",
      tensor: module + ".weight")
  }

  /// - Throws: `Failure` `awq.mixed` where layers differ in their groups: the configuration has one group size for all.
  static func json(modules: [QuantizedModule], unquantized: [String]) throws(Failure) -> JSON? {
    guard let grid = modules.first?.scheme.grid else { return nil }
    if let other = modules.first(where: { $0.scheme.grid.groupLength != grid.groupLength }) {
      throw Failure(
        .unsupported, "awq.mixed", "is stored as \(other.scheme.name), and other layers are not: an AWQ folder has one group size",
        tensor: other.name + ".weight", remedy: "Choose one scheme for all layers, or another packing.")
    }
    let left = unquantized.filter { $0 != "lm_head" }
    return .object([
      .init("quant_method", .string("awq")),
      .init("bits", .int(AWQGEMM.layout.bits)),
      .init("group_size", .int(grid.groupLength ?? -1)),
      .init("zero_point", .bool(true)),
      .init("version", .string("gemm")),
      .init("modules_to_not_convert", left.isEmpty ? .null : .array(left.map { .string($0) })),
    ])
  }
}
