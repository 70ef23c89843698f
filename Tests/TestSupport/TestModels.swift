public import QuantCore

/// A part for which only the graph matters.
public struct GraphPart: Part {
  private let reads: [Layer]
  private let sites: [Site]
  public let inputSites: [Site]

  /// - Parameters:
  ///   - linears: its linear layers and what they read.
  ///   - inputSites: the sites that a norm before it feeds.
  public init(_ linears: [(layer: Layer, input: Site)], inputSites: [Site]) {
    reads = linears.map(\.layer)
    sites = linears.map(\.input)
    self.inputSites = inputSites
  }

  public var tensors: [PartTensor] { [] }
  public var linears: [(layer: Layer, input: Site)] { zip(reads, sites).map { ($0, $1) } }
  public func run(_ input: Matrix, in context: any BlockContext) -> Matrix? { nil }
}

extension ModelDescription {
  /// A model of blocks only, without tensors.
  public static func of(_ blocks: [BlockDescription], hiddenSize: Int = 0) -> ModelDescription {
    ModelDescription(
      family: "test", hiddenSize: hiddenSize, vocabularySize: 0, contextLength: 0, embedding: EmbeddingDescription(width: hiddenSize),
      blocks: blocks, head: HeadDescription(norm: nil, isTied: false), tensors: [])
  }

  /// The attention of the first block; a default one if it has none.
  public var attention: Attention {
    blocks.first?.branches.lazy.compactMap { $0.part as? Attention }.first
      ?? Attention(width: 0, headCount: 1, keyValueHeadCount: 1, headSize: 1)
  }

  /// The latent attention of the first block, or nil.
  public var latentAttention: LatentAttention? { blocks.first?.branches.lazy.compactMap { $0.part as? LatentAttention }.first }

  /// The mixture of experts of the first block that has one, or nil.
  public var mixture: MixtureOfExperts? { blocks.lazy.flatMap(\.branches).compactMap { $0.part as? MixtureOfExperts }.first }

  /// The feed-forward part of the first block, or one of its experts.
  public var feedForward: FeedForward? {
    blocks.first?.branches.lazy.compactMap { $0.part as? FeedForward }.first ?? mixture?.expert
  }

  /// The first norm of the first block.
  public var norm: Norm? { blocks.first?.branches.first?.norms.first }

  /// The graph of the first block.
  public var firstGraph: BlockGraph { graph(0) ?? BlockGraph(linears: [], folds: []) }
}
