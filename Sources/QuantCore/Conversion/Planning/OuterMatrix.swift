/// A matrix outside of the blocks: what becomes of tokens on their way in, or of hidden states on their way out.
enum OuterMatrix {
  case embedding
  case output

  /// By the part that a tensor has in the model or, where no family knows it, by the names that containers give such a matrix.
  init?(_ name: String, id: TensorID?) {
    if let id {
      guard !id.isBias, id.role == .tokenEmbedding || id.role == .output else { return nil }
      self = id.role == .output ? .output : .embedding
      return
    }
    switch name {
    case "token_embd.weight", "per_layer_token_embd.weight", "model.embed_tokens.weight": self = .embedding
    case "output.weight", "lm_head.weight": self = .output
    default: return nil
    }
  }
}
