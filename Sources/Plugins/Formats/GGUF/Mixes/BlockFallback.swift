import QuantCore

/// What takes the place of a block type in rows that are no multiple of its blocks.
///
/// Source: `src/llama-quant.cpp` of llama.cpp, `tensor_type_fallback`.
enum BlockFallback {
  /// Weights in a block of this type; nil for plain numbers and unknown names.
  static func weights(of scheme: String) -> Int? {
    // A type with several rules is named with the rule: `mxfp4-ggml`.
    let type = scheme.split(separator: "-").first.flatMap { GGUFTensorType.type(schemeName: String($0)) }
    return type.flatMap { $0.blockLength > 1 ? $0.blockLength : nil }
  }

  /// The types with longer blocks than 32. For Q1_0 and NVFP4 llama.cpp knows none.
  private static let shorter: [String: String] = [
    "iq1_s": "iq4_nl", "iq1_m": "iq4_nl", "iq2_xxs": "iq4_nl", "iq2_xs": "iq4_nl", "iq2_s": "iq4_nl", "iq3_xxs": "iq4_nl",
    "iq3_s": "iq4_nl", "iq4_xs": "iq4_nl", "q2_0": "q4_0", "q2_k": "q4_0", "q3_k": "q4_0", "tq1_0": "q4_0", "tq2_0": "q4_0",
    "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0",
  ]

  /// The type in which rows of `columns` weights can be stored instead; nil where this one can, or where there is none.
  static func replacing(_ scheme: String, columns: Int) -> (scheme: String, note: String)? {
    guard let length = weights(of: scheme), !columns.isMultiple(of: length) else { return nil }
    let next = shorter[scheme] ?? (length <= 32 ? "f16" : nil)
    guard let next else { return nil }
    let fits = columns.isMultiple(of: weights(of: next) ?? 1)
    return (fits ? next : "f16", "rows of \(columns) are no multiple of \(length), which \(scheme) needs")
  }
}
