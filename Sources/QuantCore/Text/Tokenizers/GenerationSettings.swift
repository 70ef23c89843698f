/// How a model is meant to be sampled: keys of `generation_config.json` and of a GGUF's `general.sampling.`.
public enum GenerationSettings {
  /// In the order in which a GGUF has them. Of several names in `generation_config.json` the first counts; the last is the one
  /// that transformers knows, nil where it knows none.
  public static let keys: [(gguf: String, names: [String], transformers: String?, isInteger: Bool)] = [
    ("top_k", ["top_k"], "top_k", true), ("top_p", ["top_p"], "top_p", false), ("min_p", ["min_p"], "min_p", false),
    ("xtc_probability", ["xtc_probability"], nil, false), ("xtc_threshold", ["xtc_threshold"], nil, false),
    ("temp", ["temperature"], "temperature", false), ("penalty_last_n", ["penalty_last_n"], nil, true),
    ("penalty_repeat", ["penalty_repeat", "repetition_penalty"], "repetition_penalty", false), ("mirostat", ["mirostat"], nil, true),
    ("mirostat_tau", ["mirostat_tau"], nil, false), ("mirostat_eta", ["mirostat_eta"], nil, false),
  ]

  /// Prefix of the keys in a GGUF.
  public static let prefix = "general.sampling."
}
