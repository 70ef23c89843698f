import QuantCore

extension ConfigurationKeys {
  /// LongRoPE as the object of a `config.json` states it, which older files call `su`; nil if it states something else.
  /// - Parameter count: pairs of rotated dimensions.
  func long(_ value: JSON, count: Int) throws(Failure) -> Rope.Long? {
    guard ["longrope", "su"].contains((value["rope_type"] ?? value["type"])?.stringValue) else { return nil }
    let magnitudes = ["short_mscale", "long_mscale"].map { value[$0]?.doubleValue }
    guard magnitudes[0] == magnitudes[1] else {
      throw unsupported("model.rope-scaling", "LongRoPE with another factor of attention for each table is not supported")
    }
    func factors(_ key: String) throws(Failure) -> [Float] {
      let numbers = value[key]?.arrayValue?.compactMap(\.doubleValue).map { Float($0) } ?? []
      guard numbers.count == count, numbers.allSatisfy({ $0.isFinite && $0 > 0 }) else {
        throw bad("rope_scaling.\(key)", "is not a list of \(count) positive numbers")
      }
      return numbers
    }
    let context = try positiveSize("max_position_embeddings", "")
    let inside = value["original_max_position_embeddings"]?.intValue
    let original = try size("original_max_position_embeddings", "") ?? inside ?? context
    guard original > 1 else { throw bad("original_max_position_embeddings", "is \(original)") }
    var long = Rope.Long(
      shortFactors: try factors("short_factor"), longFactors: try factors("long_factor"), originalContext: original,
      attentionFactor: Rope.Long.usualFactor(context: context, originalContext: original))
    if let magnitude = magnitudes[0] { long.attentionFactor = try positive(magnitude, "rope_scaling.short_mscale") }
    if let stated = value["attention_factor"], !stated.isNull {
      long.attentionFactor = try positive(stated.doubleValue, "rope_scaling.attention_factor")
    }
    return long
  }

  /// LongRoPE as a GGUF holds it; nil if it has no tables.
  func storedLong(_ tensors: Checkpoint?, count: Int) throws(Failure) -> Rope.Long? {
    guard let long = tensors?[RopeFactors.longName], let short = tensors?[RopeFactors.shortName] else { return nil }
    let stated = try size("", "rope.scaling.original_context_length")
    let original = if let stated { stated } else { try positiveSize("", "context_length") }
    return Rope.Long(
      shortFactors: try values(of: short, count: count), longFactors: try values(of: long, count: count), originalContext: original,
      attentionFactor: try number("", "rope.scaling.attn_factor") ?? 1)
  }
}
