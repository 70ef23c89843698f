/// One computation inside a block: an attention, a feed-forward layer, a mixture of experts.
///
/// A part is a value made from plain numbers. It says which linear layers it has and what they read, so that calibrated methods
/// can work on them, and runs itself through a `BlockContext`, which gives it weights and sees to observation, simulated rounding
/// and precision. Neither the engine nor any method knows a concrete part: a new architecture brings its own as one file.
///
/// Equal parts compute the same. What belongs to one run lives in the context.
public protocol Part: Sendable, Hashable {
  /// Its weights and vectors in the order of the forward pass, without biases of linear layers, which any of them may have.
  var tensors: [PartTensor] { get }
  /// Its linear layers with the site that is their input, in the order of the forward pass.
  var linears: [(layer: Layer, input: Site)] { get }
  /// The sites that the part's input reaches unchanged, if only for some tokens, where nothing but linear layers reads it: a norm in
  /// front of the part can then absorb a scaling. Empty where something else reads it.
  var inputSites: [Site] { get }
  /// Where a diagonal scaling of a site's channels can be absorbed inside the part.
  var folds: [Fold] { get }
  /// What it keeps of each token for those that follow.
  var caches: [CacheSite] { get }
  /// Whether what it computes for a token depends on other tokens of the sequence.
  var mixesTokens: Bool { get }
  /// Computes what is added to the residual stream.
  /// - Parameter input: `[tokens, width]`, of sequences that `context.sequences` describes; of a part that does not mix tokens any
  ///   tokens.
  /// - Returns: as many rows; nil may be returned where `context.isOutputWanted` is false.
  func run(_ input: Matrix, in context: any BlockContext) -> Matrix?
}

extension Part {
  public var inputSites: [Site] { [] }
  public var folds: [Fold] { [] }
  public var caches: [CacheSite] { [] }
  public var mixesTokens: Bool { false }
}

/// A tensor as the part that computes with it knows it; the family adds where containers hold it.
public struct PartTensor: Sendable, Hashable {
  /// What it does in the part.
  public var role: TensorRole
  /// Which expert of a mixture it belongs to, or nil.
  public var expert: Int?
  /// `[out, in]`, or one dimension for a vector.
  public var shape: [Int]
  /// What follows for quantization.
  public var kind: TensorKind

  public init(_ role: TensorRole, expert: Int? = nil, _ shape: [Int], _ kind: TensorKind) {
    self.role = role
    self.expert = expert
    self.shape = shape
    self.kind = kind
  }
}

/// A place where values enter the cache of a part, and can be rounded.
public struct CacheSite: Sendable, Hashable {
  /// Where they are observed.
  public var site: Site
  /// Channels of one head, which may have a scale of their own.
  public var headSize: Int

  public init(_ site: Site, headSize: Int) {
    self.site = site
    self.headSize = headSize
  }
}

/// What a part keeps of the tokens of one sequence that it has seen: rows of numbers under names of its own.
public struct PartCache: Sendable {
  private var arrays: [String: [Float]] = [:]

  public init() {}

  /// All that was kept under a name.
  public subscript(name: String) -> [Float] { arrays[name] ?? [] }

  /// Keeps more.
  public mutating func append(_ values: [Float], to name: String) { arrays[name, default: []] += values }

  /// Keeps this instead of what was there.
  public mutating func replace(_ name: String, by values: [Float]) { arrays[name] = values }
}

/// Which tokens the rows of a part's input are.
public struct SequenceRows: Sendable, Hashable {
  /// Rows of one sequence; sequences follow each other.
  public var length: Int
  /// Position of the first row of each.
  public var first: Int

  public init(length: Int, first: Int = 0) {
    self.length = length
    self.first = first
  }

  /// Positions of the rows of a sequence.
  public var positions: Range<Int> { first..<first + length }
  /// Position of a row.
  public func position(_ row: Int) -> Int { first + row % length }
}

/// What a part has while it runs in a block.
public protocol BlockContext: AnyObject {
  /// The threads to use.
  var parallel: Parallel { get }
  /// Which tokens the input's rows are.
  var sequences: SequenceRows { get }
  /// What the part kept of earlier tokens of the one sequence that runs; nil where whole sequences run, of which nothing is kept.
  var cache: PartCache? { get set }
  /// False where the run is for what flows into the linear layers alone, and nobody reads what the part computes.
  var isOutputWanted: Bool { get }
  /// A linear layer of the block with its bias, if it has one: `[tokens, in]` to `[tokens, out]`. The input of each layer is rounded
  /// where that is simulated.
  func linear(_ layer: Layer, _ x: Matrix) -> Matrix
  /// Values on their way through a site: they are observed, and those that enter a cache are rounded where that is simulated.
  func pass(_ x: inout Matrix, through site: Site)
  /// A vector of the block, or nil where it has none.
  func vector(_ role: TensorRole, isBias: Bool) -> [Float]?
  /// Values `[tokens, channels]`, normalised.
  func normed(_ x: Matrix, by norm: Norm) -> Matrix
  /// What `make` returns, computed once for all tokens that run through the block together.
  func remembering<Key: Hashable & Sendable, Value: Sendable>(_ key: Key, _ make: () -> Value) -> Value
}

extension BlockContext {
  /// A vector of the block that is no bias, or nil where it has none.
  public func vector(_ role: TensorRole) -> [Float]? { vector(role, isBias: false) }
}
