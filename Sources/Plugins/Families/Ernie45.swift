import FamilyKit
public import QuantCore

/// ERNIE 4.5, dense: Llama whose rotary embedding rotates neighbouring channels.
///
/// The trap: both formats hold the rows of queries and keys in the same order, in which those of a rotary pair are neighbours.
public enum Ernie45: ModelFamily {
  /// Id of the family.
  public static let id = "ernie4.5"
  /// One sentence for lists.
  public static let summary = "ERNIE 4.5 with dense feed-forward layers"
  /// Report.
  public static let reference = "https://ernie.baidu.com/blog/publication/ERNIE_Technical_Report.pdf"

  /// Names in `config.json` and in `general.architecture`.
  public static func architectures(_ naming: Naming) -> [String] {
    naming == .gguf ? ["ernie4_5"] : ["Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"]
  }

  /// - Throws: `Failure` with an id `model.*`.
  public static func describe(_ configuration: Configuration, tensors: Checkpoint) throws -> ModelDescription {
    let keys = ConfigurationKeys(configuration, path: tensors.path)
    let n = try keys.llamaNumbers(ties: true, keyValueHeads: 2, headSize: 128, epsilon: 1e-5, tensors: tensors)
    var rope = try keys.rope(headSize: n.headSize, defaultTheta: 500_000, factors: nil)
    rope.pairs = .neighbours
    let neighbours = rope
    let hasBiases = keys.hasBiases("use_bias", stored: "blk.0.attn_q.bias", tensors)
    var decoder = Decoder(family: id, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { _ in
      [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), n.attention(rope: neighbours)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), n.feedForward()),
      ]
    }
    decoder.bias = { _ in hasBiases ? .always : .never }
    var model = try decoder.describe()

    if hasBiases {
      model.obstacles[.gguf] = "llama.cpp has no biases of the feed-forward network in 'ernie4_5', but this model has some"
    } else if let obstacle = rope.obstacle("ernie4_5") {
      model.obstacles[.gguf] = obstacle
    } else {
      var stored = GGUFKeys("ernie4_5")
      stored.setCommon(n, rope: rope, statesHeadSize: true)
      stored.setSpacePrefix()
      model.configurations[.gguf] = stored.configuration
    }
    var stated = HuggingFaceKeys("Ernie4_5ForCausalLM", modelType: "ernie4_5")
    guard stated.setCommon(n, rope: rope, statesHeadSize: true) else { return model }
    stated.set("use_bias", hasBiases)
    model.configurations[.huggingFace] = stated.configuration
    return model
  }
}
