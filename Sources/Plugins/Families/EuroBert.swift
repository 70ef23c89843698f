import FamilyKit
public import QuantCore

/// EuroBERT: a Llama in which every token sees all others.
public enum EuroBert: ModelFamily {
  /// Id of the family.
  public static let id = "eurobert"
  /// One sentence for lists.
  public static let summary = "EuroBERT: an encoder, judged by its vectors"
  /// Paper.
  public static let reference = "arXiv:2503.05500"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["eurobert"] : ["EuroBertModel", "EuroBertForMaskedLM", "EuroBertForSequenceClassification"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    var names = TensorNames.llama
    names.choosePrefix(["", "model."], in: tensors)
    var n = try keys.decoderNumbers(defaultNormEpsilon: 1e-5, tensors: tensors)
    n.vocabularySize = try keys.vocabularySize(tensors[names.name(.tokenEmbedding, keys.isStored ? .gguf : .huggingFace) ?? ""])
    try keys.refuseActivations(otherThan: "silu")
    let rope = try keys.rope(headSize: n.headSize, defaultTheta: 10_000, factors: nil)
    let stated = try keys.pooling(tensors)
    let hasBiases = ["attention_bias", "mlp_bias"].map { keys.json($0)?.boolValue ?? false }

    let numbers = n
    var attention = n.attention(rope: rope)
    attention.isCausal = false
    let whole = attention
    var decoder = Decoder(family: id, numbers: n, norm: nil) { _ throws(Failure) in
      [
        Branch(norm: numbers.rootMeanSquareNorm(.attentionNorm), whole),
        Branch(norm: numbers.rootMeanSquareNorm(.feedForwardNorm), numbers.feedForward()),
      ]
    }
    decoder.names = names
    decoder.head = HeadDescription(norm: n.rootMeanSquareNorm(.outputNorm), pooling: stated ?? .mean)
    decoder.bias = { tensor in hasBiases[tensor.kind == .feedForward ? 1 : 0] ? .always : .never }
    var model = try decoder.describe()
    model.otherParts[.huggingFace] = ["lm_head.", "classifier.", "dense."]
    model.obstacles[.gguf] = n.obstacle("eurobert", rope: rope)
    if rope.scaling != .none { model.obstacles[.gguf] = "llama.cpp scales no rotary embedding in 'eurobert', but this model does" }
    if hasBiases.contains(true) { model.obstacles[.gguf] = "llama.cpp has no biases in 'eurobert', but this model has some" }
    if model.obstacles[.gguf] == nil {
      var stored = GGUFKeys("eurobert")
      stored.setCommon(n, rope: rope, statesHeadSize: n.statesHeadSize)
      stored.setEncoder(nil)
      stored.set("rope.scaling.type", .string("none"))
      stored.setEncoder(stated, statesMask: false)
      stored.setNoBeginning()
      model.configurations[.gguf] = stored.configuration
    }
    var written = HuggingFaceKeys("EuroBertModel", modelType: "eurobert")
    if keys.isStored, written.setCommon(n, rope: rope, statesHeadSize: !n.headsFillWidth) {
      model.configurations[.huggingFace] = written.configuration
    }
    return model
  }
}
