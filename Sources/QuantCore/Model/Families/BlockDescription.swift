/// One block of a model: branches, each of which reads the hidden states and adds to them.
public struct BlockDescription: Sendable, Equatable {
  /// In the order of the forward pass.
  public let branches: [Branch]
  /// Which layers read which sites, derived from the branches once.
  public let graph: BlockGraph

  public init(_ branches: [Branch]) {
    self.branches = branches
    graph = BlockGraph(branches)
  }

  public static func == (a: BlockDescription, b: BlockDescription) -> Bool { a.branches == b.branches }

  /// Branches grouped by what they read: those of one step read the same hidden states.
  package var steps: [Range<Int>] {
    var steps: [Range<Int>] = []
    for index in branches.indices {
      if branches[index].readsWithPrevious, let last = steps.last {
        steps[steps.count - 1] = last.lowerBound..<index + 1
      } else {
        steps.append(index..<index + 1)
      }
    }
    return steps
  }

  /// The sites where values enter caches.
  public var caches: [CacheSite] { branches.flatMap { $0.part.caches } }

  /// The last layer of the part that caches keys and values, after which formats store the scales of the cache; nil without such a
  /// part.
  public var cachingLayer: Layer? {
    let part = branches.lazy.map(\.part).first { part in
      [Site.keys, .values].allSatisfy { site in part.caches.contains { $0.site == site } }
    }
    return part?.linears.last?.layer
  }
}

/// One branch of a block: reads the hidden states, runs a part on them, and adds the result.
public struct Branch: Sendable, Equatable {
  /// What the result of a part can be added to.
  public enum Residual: Sendable {
    /// The hidden states that the branch reads.
    case input
    /// The same after `norm`.
    case normed
    /// Nothing: the result takes the place of the hidden states.
    case nothing
  }

  /// Applied before the part; nil: the part reads the hidden states themselves.
  public var norm: Norm?
  /// What is computed.
  public var part: any Part
  /// Applied to the output of the part, before it is added.
  public var outputNorm: Norm?
  /// What the result is added to.
  public var residual = Residual.input
  /// What the result is multiplied by before it is added.
  public var scale: Float = 1
  /// Applied to the sum.
  public var sumNorm: Norm?
  /// What the sum is multiplied by.
  public var sumFactor: Float = 1
  /// The vector of one value that the sum is multiplied by, if the checkpoint holds it; nil: there is none.
  public var sumScale: TensorRole?
  /// Whether it reads the same hidden states as the previous branch, not those that the previous branch has added to.
  public var readsWithPrevious = false

  public init(
    norm: Norm?, _ part: any Part, outputNorm: Norm? = nil, residual: Residual = .input, scale: Float = 1, sumNorm: Norm? = nil,
    sumFactor: Float = 1, sumScale: TensorRole? = nil, readsWithPrevious: Bool = false
  ) {
    self.norm = norm
    self.part = part
    self.outputNorm = outputNorm
    self.residual = residual
    self.scale = scale
    self.sumNorm = sumNorm
    self.sumFactor = sumFactor
    self.sumScale = sumScale
    self.readsWithPrevious = readsWithPrevious
  }

  public static func == (a: Branch, b: Branch) -> Bool {
    AnyHashable(a.part) == AnyHashable(b.part) && a.norm == b.norm && a.outputNorm == b.outputNorm && a.residual == b.residual
      && a.scale == b.scale && a.sumNorm == b.sumNorm && a.sumFactor == b.sumFactor && a.sumScale == b.sumScale
      && a.readsWithPrevious == b.readsWithPrevious
  }

  /// All its norms.
  public var norms: [Norm] { [norm, outputNorm, sumNorm].compactMap { $0 } }
}

/// A norm over the channels of a token.
public struct Norm: Sendable, Hashable {
  /// How it scales.
  public enum Formula: Sendable, Hashable {
    /// Divided by the root of the mean square.
    case rootMeanSquare
    /// The mean subtracted, then divided by the standard deviation; may have a bias.
    case layer
  }

  /// The role of its gain and of its bias, if it has one.
  public var role: TensorRole
  /// How it scales.
  public var formula: Formula
  /// What is added to the mean square.
  public var epsilon: Double
  /// Whether it has a gain; without one, all channels are scaled equally.
  public var hasGain = true

  public init(_ role: TensorRole, _ formula: Formula, epsilon: Double, hasGain: Bool = true) {
    self.role = role
    self.formula = formula
    self.epsilon = epsilon
    self.hasGain = hasGain
  }

  /// The same norm with another role.
  public func with(_ role: TensorRole) -> Norm { Norm(role, formula, epsilon: epsilon, hasGain: hasGain) }
}

/// Which layers read which sites of a block, and where channels can be folded.
public struct BlockGraph: Sendable {
  /// Linear layers with the site that is their input, in the order of the forward pass.
  public let linears: [(layer: Layer, input: Site)]
  /// The sites whose channels can be scaled by dividing what produces them.
  public let folds: [Fold]
  /// The sites of the block in the order of the forward pass.
  public let sites: [Site]
  private let inputs: [Layer: Site]
  private let readers: [Site: [Layer]]

  public init(linears: [(layer: Layer, input: Site)], folds: [Fold]) {
    self.linears = linears
    self.folds = folds
    var sites: [Site] = []
    var readers: [Site: [Layer]] = [:]
    for linear in linears {
      if readers[linear.input] == nil { sites.append(linear.input) }
      readers[linear.input, default: []].append(linear.layer)
    }
    self.sites = sites
    self.readers = readers
    inputs = Dictionary(linears.map { ($0.layer, $0.input) }, uniquingKeysWith: { first, _ in first })
  }

  /// The graph of some branches: for each branch the fold into its norm, if only linear layers read the norm's output, then the folds
  /// inside of its part.
  package init(_ branches: [Branch]) {
    var folds: [Fold] = []
    var folded: Set<TensorRole> = []
    for branch in branches {
      if let norm = branch.norm, norm.hasGain, folded.insert(norm.role).inserted {
        let readers = branches.filter { $0.norm?.role == norm.role }
        let sites = readers.flatMap { $0.part.inputSites }
        let isReadByLinearLayersAlone = readers.allSatisfy { $0.residual == .input && !$0.part.inputSites.isEmpty }
        if isReadByLinearLayersAlone, let first = sites.first {
          folds.append(Fold(site: first, dependents: Array(sites.dropFirst()), producer: .norm(norm.role)))
        }
      }
      folds += branch.part.folds
    }
    self.init(linears: branches.flatMap { $0.part.linears }, folds: folds)
  }

  /// The linear layers that read a site.
  public func consumers(of site: Site) -> [Layer] { readers[site] ?? [] }
  /// Every linear layer whose columns must be scaled when a fold is applied.
  public func consumers(of fold: Fold) -> [Layer] { fold.sites.flatMap { consumers(of: $0) } }
  /// The site that a layer reads, or nil for a layer that is not in this block.
  public func input(of layer: Layer) -> Site? { inputs[layer] }
  /// Whether the layers that read a site belong to one expert of a mixture.
  public func isOfExpert(_ site: Site) -> Bool { consumers(of: site).contains { $0.expert != nil } }
}

/// A site whose channels can be scaled by dividing its producer.
public struct Fold: Sendable {
  /// What produces the values of a site, and is divided by the scales.
  public enum Producer: Sendable, Equatable {
    /// A norm's gain (and bias), channel by channel.
    case norm(TensorRole)
    /// Rows of a linear layer (and its bias), channel by channel, also if a gate multiplies them.
    case rows(Layer)
    /// Rows of the value projection, with grouped heads: the channels of all query heads that share a key-value head must have
    /// the same scale.
    case valueRows(Layer, queryHeads: Int, keyValueHeads: Int)
  }

  /// The site whose values are scaled.
  public var site: Site
  /// Other sites that receive the same channels, perhaps only for some tokens: the inputs of experts after a router.
  public var dependents: [Site]
  /// What is divided in return.
  public var producer: Producer
  /// The site whose values are the output of the divided rows, and so are divided, too; nil: there is no such site.
  public var produced: Site?

  public init(site: Site, dependents: [Site] = [], producer: Producer, produced: Site? = nil) {
    self.site = site
    self.dependents = dependents
    self.producer = producer
    self.produced = produced
  }

  /// All sites whose values are scaled.
  public var sites: [Site] { [site] + dependents }
}
