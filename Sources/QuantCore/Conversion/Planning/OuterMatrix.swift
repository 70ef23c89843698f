/// A matrix outside of the blocks: what becomes of tokens on their way in, or of hidden states on their way out.
enum OuterMatrix {
  case embedding
  case output

  /// By the part that a tensor has in the model or, where no family knows it, by the names that containers give such a matrix.
  init?(_ name: String, id: TensorID?) {
    switch (id?.role, name) {
    case (.tokenEmbedding, _), (nil, "token_embd.weight"), (nil, "per_layer_token_embd.weight"), (nil, "model.embed_tokens.weight"):
      self = .embedding
    case (.output, _), (nil, "output.weight"), (nil, "lm_head.weight"): self = .output
    default: return nil
    }
    if id?.isBias == true { return nil }
  }
}
