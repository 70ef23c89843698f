import QuantCore

/// `quantization_config` of FP8 folders that vLLM and transformers read without compressed-tensors.
enum Float8Configuration {
  /// Names for the stored scale of an input: vLLM's, which is written, and that of transformers.
  static let inputScales = ["input_scale", "activation_scale"]

  static func isFloat8(_ configuration: JSON) -> Bool { configuration["quant_method"]?.stringValue == "fp8" }

  /// - Parameters:
  ///   - block: the side of the squares that share a scale; nil: one scale for the tensor.
  ///   - scaleFormat: the format of scales that are not arbitrary floats.
  static func json(activations: String, unquantized: [String], block: Int? = nil, scaleFormat: String? = nil) -> JSON {
    var members: [JSON.Member] = [
      .init("quant_method", .string("fp8")), .init("fmt", .string("e4m3")), .init("activation_scheme", .string(activations)),
    ]
    if let scaleFormat { members.append(.init("scale_fmt", .string(scaleFormat))) }
    if let block { members.append(.init("weight_block_size", .array([.int(block), .int(block)]))) }
    // Both clients know this key; vLLM has a second name for it.
    members.append(.init("modules_to_not_convert", .array(unquantized.map { .string($0) })))
    return .object(members)
  }

  static func cacheParts(attention: String) -> (keys: StoredPart, values: StoredPart) {
    func number(_ name: String) -> StoredPart { StoredPart(name: "\(attention).\(name)", shape: [1], type: .element(.f32), byteCount: 4) }
    return (number("k_scale"), number("v_scale"))
  }

  // MARK: Checking

  /// GPTQModel stores reciprocals under the name of scales.
  /// - Throws: `Failure` `fp8.semantics`.
  static func checkSemantics(_ configuration: JSON) throws(Failure) {
    guard let semantics = configuration["weight_scale_semantics"]?.stringValue else { return }
    throw Failure(
      .unsupported, "fp8.semantics", "its scales are '\(semantics)', which only GPTQModel reads",
      remedy: "Give the unquantized model.")
  }

  /// Whether clients expect a layer to be quantized; for `lm_head` they go by its tensors.
  static func expectsQuantized(_ module: String, _ configuration: JSON) -> Bool? {
    let left = ["modules_to_not_convert", "ignored_layers"].flatMap { configuration[$0]?.arrayValue ?? [] }.compactMap(\.stringValue)
    if left.contains(where: { module == $0 || module.hasPrefix($0 + ".") || module.hasSuffix("." + $0) }) { return false }
    return module == "lm_head" ? nil : true
  }

  static func findings(_ configuration: JSON) -> [Finding] {
    guard configuration["activation_scheme"]?.stringValue == nil else { return [] }
    return [
      Finding(.error, "fp8.activation-scheme", "the configuration has no 'activation_scheme': vLLM refuses the folder")
    ]
  }
}
