import FamilyKit
import QuantCore

/// What several mixtures share: Qwen3's attention with normalized heads, perhaps with windows, and the router of DeepSeek-V3 beside a
/// shared expert.
struct NormedMixture {
  var numbers: DecoderNumbers
  var rope: Rope
  var experts: RoutedExperts
  /// Attention windows of the blocks; nil: the block attends to all tokens.
  var windows: [Int?]
  /// Whether only blocks with a window have a rotary embedding.
  var rotatesOnlyInWindows = false
  /// Whether the layers of the attention have biases.
  var hasBiases = false
  /// Whether the mixed values are multiplied by a gate.
  var hasGate = false
  /// Whether there are norms over the outputs of branches.
  var normsOutputs = false
  /// What follows the blocks to predict further tokens.
  var predicting = PredictingBlocks()

  /// What all of these routers do: corrected sigmoids choose experts, and their weights are divided by the sum.
  static func routing(used: Int = 8, scale: Float) -> ExpertRouting {
    ExpertRouting(expertsPerToken: used, weights: .normalisedSigmoid, hasCorrection: true, scale: scale)
  }

  /// The description, without configurations.
  func describe(_ family: String, _ names: TensorNames, change: (inout Decoder) -> Void = { _ in }) throws(Failure) -> ModelDescription {
    let (n, experts, hasBiases, copy) = (numbers, experts, hasBiases, self)
    var decoder = Decoder(family: family, numbers: n, norm: n.rootMeanSquareNorm(.outputNorm)) { block in
      let second: any Part = block >= experts.denseBlocks ? experts.mixture(width: n.hiddenSize) : n.feedForward()
      func norm(_ role: TensorRole) -> Norm? { copy.normsOutputs ? n.rootMeanSquareNorm(role) : nil }
      return [
        Branch(norm: n.rootMeanSquareNorm(.attentionNorm), copy.attention(block), outputNorm: norm(.attentionOutputNorm)),
        Branch(norm: n.rootMeanSquareNorm(.feedForwardNorm), second, outputNorm: norm(.feedForwardOutputNorm)),
      ]
    }
    decoder.names = names
    decoder.predicting = predicting
    decoder.bias = { hasBiases && $0.kind == .attention ? .always : .never }
    change(&decoder)
    return try decoder.describe()
  }

  private func attention(_ block: Int) -> Attention {
    var attention = numbers.attention(rope: rotatesOnlyInWindows && windows[block] == nil ? nil : rope)
    attention.window = windows[block]
    if hasGate { attention.gate = Attention.Gate() }
    (attention.queryNorm, attention.keyNorm) = (numbers.rootMeanSquareNorm(.queryNorm), numbers.rootMeanSquareNorm(.keyNorm))
    return attention
  }

  /// States what the configurations of these models call by the same names.
  func state(_ keys: inout HuggingFaceKeys, _ model: ModelDescription, count: String, shared: String, scale: String) {
    keys.set(count, experts.count)
    keys.set(shared, experts.sharedCount)
    keys.set("num_experts_per_tok", experts.routing.expertsPerToken)
    keys.set("moe_intermediate_size", experts.innerSize)
    keys.set(scale, Double("\(experts.routing.scale)") ?? Double(experts.routing.scale))
    keys.set("num_nextn_predict_layers", model.predictingBlockCount)
  }

  /// The kinds of the blocks' second branches.
  var kinds: JSON { .array(windows.indices.map { .string($0 < experts.denseBlocks ? "dense" : "sparse") }) }
}
