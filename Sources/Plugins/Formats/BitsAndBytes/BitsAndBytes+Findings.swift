public import QuantCore

/// The configuration compared with the tensors.
extension BitsAndBytes {
  /// For `lm_head`, clients go by its tensors.
  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    let left = (configuration["llm_int8_skip_modules"]?.arrayValue ?? []).compactMap(\.stringValue)
    if left.contains(where: { module == $0 || module.hasPrefix($0 + ".") || module.hasSuffix("." + $0) }) { return false }
    return module == "lm_head" ? nil : true
  }

  /// Clients create layers by the configuration, and then look for the tensors of such layers.
  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    let isFourBit = configuration["load_in_4bit"]?.boolValue == true || configuration["_load_in_4bit"]?.boolValue == true
    let other = stored.filter { tensor in
      tensor.name.hasSuffix(isFourBit ? "." + BitsAndBytes.rowMagnitudesName : ".weight" + BitsAndBytes.magnitudesSuffix)
    }
    return Finding.grouped(
      .error, "bnb.kind", "belongs to a layer of \(isFourBit ? 8 : 4) bits, but the configuration says \(isFourBit ? 4 : 8) bits",
      in: other.map(\.name))
  }
}
