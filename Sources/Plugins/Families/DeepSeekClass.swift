import FamilyKit
import QuantCore

/// A class of models with DeepSeek's blocks, and what it assumes for absent keys.
struct DeepSeekClass: Equatable {
  let architecture: String
  let modelType: String
  /// What norms add to the mean square.
  var epsilon = 1e-6
  var ties = false
  /// Ranks and sizes of the attention: those of DeepSeek-V2 and V3, in this order.
  private var sizes = [512, 1536, 128, 64, 128]
  /// How experts are chosen: dense blocks, shared experts, experts per token, scale; nil: there are no experts.
  private var routing: [Double]?
  private(set) var isSigmoid = true
  /// Whether the weights of experts are divided by their sum.
  private var isNormalised = true
  /// What a GGUF calls the architecture.
  private(set) var ggufArchitecture = "deepseek2"
  /// What chooses the tokens of a query: heads, their size, how many tokens, and which channels are rotated together; nil: all are seen.
  private(set) var indexer: (heads: Int, size: Int, tokens: Int, pairs: Rope.Pairs)?

  static func == (a: DeepSeekClass, b: DeepSeekClass) -> Bool { a.architecture == b.architecture }

  static let v2: DeepSeekClass = {
    var kind = DeepSeekClass("DeepseekV2ForCausalLM", "deepseek_v2")
    (kind.routing, kind.isSigmoid, kind.isNormalised) = ([0, 2, 6, 1], false, false)
    return kind
  }()
  static let v3: DeepSeekClass = {
    var kind = DeepSeekClass("DeepseekV3ForCausalLM", "deepseek_v3")
    kind.routing = [3, 1, 8, 2.5]
    return kind
  }()
  /// GLM-4.7-Flash: DeepSeek-V3 whose experts are not in groups.
  static let glm: DeepSeekClass = {
    var kind = DeepSeekClass("Glm4MoeLiteForCausalLM", "glm4_moe_lite")
    (kind.epsilon, kind.sizes, kind.routing) = (1e-5, [512, 768, 192, 64, 256], [1, 1, 4, 1.8])
    return kind
  }()
  /// Youtu: one feed-forward network in every block.
  static let youtu: DeepSeekClass = {
    var kind = DeepSeekClass("YoutuForCausalLM", "youtu")
    kind.ties = true
    return kind
  }()
  /// Mistral 4: a softmax whose weights are normalised, groups as in V3, queries that grow with their position, stacked experts.
  static let mistral: DeepSeekClass = {
    var kind = DeepSeekClass("Mistral4ForCausalLM", "mistral4")
    (kind.sizes, kind.routing, kind.isSigmoid, kind.ggufArchitecture) = ([256, 1024, 64, 64, 128], [0, 1, 4, 1], false, "mistral4")
    return kind
  }()
  /// DeepSeek-V3.2: V3 with a part that chooses the tokens of each query.
  static let v32: DeepSeekClass = {
    var kind = DeepSeekClass("DeepseekV32ForCausalLM", "deepseek_v32")
    (kind.routing, kind.ggufArchitecture, kind.indexer) = ([3, 1, 8, 2.5], "deepseek32", (64, 128, 2048, .halves))
    return kind
  }()
  /// GLM-5: the same with experts that are not in groups; some blocks use the tokens that an earlier one chose.
  static let glmSparse: DeepSeekClass = {
    var kind = DeepSeekClass("GlmMoeDsaForCausalLM", "glm_moe_dsa")
    (kind.epsilon, kind.sizes, kind.routing) = (1e-5, [512, 2048, 192, 64, 256], [3, 1, 8, 2.5])
    (kind.ggufArchitecture, kind.indexer) = ("glm-dsa", (32, 128, 2048, .neighbours))
    return kind
  }()
  static let all = [v2, v3, glm, youtu, mistral, v32, glmSparse]

  private init(_ architecture: String, _ modelType: String) {
    self.architecture = architecture
    self.modelType = modelType
  }

  var latent: LatentNumbers {
    var n = LatentNumbers()
    (n.rank, n.queryRank, n.plainSize, n.rotarySize, n.valueSize) = (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4])
    return n
  }

  var experts: RoutedExperts? {
    guard let routing else { return nil }
    let hasGroups = self == .v3 || self == .v32
    var e = RoutedExperts(
      routing: ExpertRouting(
        expertsPerToken: Int(routing[2]), weights: isSigmoid ? .normalisedSigmoid : isNormalised ? .softmaxOfChosen : .softmax,
        hasCorrection: isSigmoid,
        groups: hasGroups ? ExpertRouting.Groups(count: 8, chosen: 4, scoredBy: 2) : nil, scale: Float(routing[3])))
    (e.denseBlocks, e.sharedCount) = (Int(routing[0]), Int(routing[1]))
    return e
  }

  /// The class that a folder names. A GGUF has one name for all of them: the function of the router tells them apart, and a file without
  /// that key has a softmax unless its sizes are those of GLM-4.7-Flash.
  static func of(_ keys: ConfigurationKeys, _ tensors: Checkpoint) throws(Failure) -> DeepSeekClass {
    guard keys.isStored else { return all.first { $0.architecture == keys.configuration.architecture } ?? .v3 }
    if let named = [mistral, v32, glmSparse].first(where: { $0.ggufArchitecture == keys.configuration.architecture }) { return named }
    guard keys.metadata("expert_count") != nil else { return .youtu }
    switch try keys.size("", "expert_gating_func") ?? 0 {
    case 0:
      let vocabulary = tensors["token_embd.weight"]?.shape.first
      return [47, 48].contains(try keys.size("", "block_count")) && vocabulary == 154_880 ? .v3 : .v2
    case RoutedExperts.sigmoid: return .v3
    default: return .v2
    }
  }
}
