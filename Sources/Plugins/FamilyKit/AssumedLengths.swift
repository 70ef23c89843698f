import QuantCore

/// How long a text may be if a `config.json` does not say it: the defaults of transformers' configurations (version 4.57), which leave a
/// value out of a file if they are asked to save only what differs from them.
enum AssumedLengths {
  /// By length, the values of `model_type`.
  private static let table: [Int: [String]] = [
    2048: [
      "dots1", "exaone4", "granite", "granitemoe", "granitemoehybrid", "granitemoeshared", "hunyuan_v1_dense", "hunyuan_v1_moe", "llama",
      "olmo", "olmo2", "olmo3", "deepseek_v2",
    ],
    4096: ["arcee", "deepseek_v3", "nemotron", "olmoe", "phi3"],
    8192: ["cohere", "cohere2", "falcon_h1", "gemma", "gemma2"],
    32768: ["qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "qwen3_next", "smollm3"],
    65536: ["apertus"],
    128_000: ["lfm2"],
    131_072: [
      "ernie4_5", "ernie4_5_moe", "gemma3_text", "glm", "glm4", "glm4_moe", "gpt_oss", "llama4_text", "minimax", "mistral", "mixtral",
      "phimoe",
    ],
    262_144: ["bamba", "jamba"],
    524_288: ["seed_oss"],
  ]

  /// - Returns: nil for a type whose default is not known.
  static func length(ofModelType type: String) -> Int? { table.first { $0.value.contains(type) }?.key }
}

extension ConfigurationKeys {
  /// The length that the class assumes if the configuration does not mention it; nil if it does, if only to say that there is none.
  var assumedLength: Int? {
    guard !isStored, configuration.json?["max_position_embeddings"] == nil else { return nil }
    return json("model_type")?.stringValue.flatMap { AssumedLengths.length(ofModelType: $0) }
  }
}
