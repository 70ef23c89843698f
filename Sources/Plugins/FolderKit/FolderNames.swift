public import QuantCore

/// What names of tensors in a folder say, whatever the model.
public enum FolderNames {
  /// What a folder calls the matrices outside of the blocks, by the ends of their names.
  private static let outer: [(end: String, role: TensorRole)] = [("embed_tokens.weight", .tokenEmbedding), ("lm_head.weight", .output)]

  /// Tensors that clients compute, or do without, by the ends of their names: tables of rotary frequencies, positions and decays, masks that
  /// early versions of transformers stored, and scales and bounds of activations beside weights that are no longer in their type.
  private static let redundant = [
    ".rotary_emb.inv_freq", ".attn.bias", ".attention.bias", ".masked_bias", ".input_scale", ".self_attn.bias", ".position_ids",
    ".causal_mask", ".embed_positions.weights", ".output_scale", ".input_scale_ub",
    ".self_attn.slope_rate", ".self_attn.query_decay", ".self_attn.key_decay", ".self_attn.diagonal_decay",
  ]

  /// As `CheckpointReader.role(ofTensor:)`.
  public static func role(ofTensor name: String) -> TensorRole? { outer.first { name.hasSuffix($0.end) }?.role }

  /// As `CheckpointReader.isRedundant`.
  public static func isRedundant(_ name: String) -> Bool {
    redundant.contains { name.hasSuffix($0) } || observers.contains { name.contains($0) }
  }

  /// What quantization-aware training keeps beside weights.
  private static let observers = [".activation_post_process.", ".weight_fake_quant."]
}
