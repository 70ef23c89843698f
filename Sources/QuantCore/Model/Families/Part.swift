/// One computation inside a block: an attention, a feed-forward network, a mixture of experts.
///
/// A part is a plain value. It says which linear layers it has and what they read, so that calibrated methods can work on them, and
/// it runs in a `BlockContext`, which provides weights and handles observation, simulated rounding and precision. Neither the engine
/// nor any method knows a concrete part: a new architecture adds its own in one file.
///
/// Equal parts compute the same. The state of a run belongs to the context.
public protocol Part: Sendable, Hashable {
  /// Its matrices and vectors in the order of the forward pass, without the biases of linear layers: any linear layer may have one.
  var tensors: [PartTensor] { get }
  /// Its linear layers with the site that is their input, in the order of the forward pass.
  var linears: [(layer: Layer, input: Site)] { get }
  /// The sites that the part's input reaches unchanged, perhaps only for some tokens. The input's channels can then be folded into a
  /// norm before the part. Empty if anything but linear layers reads the input.
  var inputSites: [Site] { get }
  /// The folds inside the part.
  var folds: [Fold] { get }
  /// The sites whose values it caches for later tokens.
  var caches: [CacheSite] { get }
  /// What it hands on to later blocks besides hidden states.
  var carried: [CarriedValue] { get }
  /// Whether what it computes for a token depends on other tokens of the sequence.
  var mixesTokens: Bool { get }
  /// Lengths of a sequence beyond which it computes other values for earlier tokens too, so that what it cached is outdated.
  var lengthLimits: [Int] { get }
  /// Computes what is added to the hidden states.
  /// - Parameter input: `[tokens, width]`, of the sequences that `context.sequences` describes; for a part that does not mix tokens,
  ///   any tokens.
  /// - Returns: as many rows; may be nil if `context.isOutputWanted` is false.
  func run(_ input: Matrix, in context: any BlockContext) -> Matrix?
}

extension Part {
  public var inputSites: [Site] { [] }
  public var folds: [Fold] { [] }
  public var caches: [CacheSite] { [] }
  public var carried: [CarriedValue] { [] }
  public var mixesTokens: Bool { false }
  public var lengthLimits: [Int] { [] }
}

/// A tensor as the part that computes with it describes it; the family adds its places.
public struct PartTensor: Sendable, Hashable {
  /// What it does in the part.
  public var role: TensorRole
  /// Which expert of a mixture it belongs to, or nil.
  public var expert: Int?
  /// `[out, in]`, or one dimension for a vector.
  public var shape: [Int]
  /// How it is treated in quantization.
  public var kind: TensorKind
  /// Whether a checkpoint may lack it: then the part does not compute with it.
  public var isOptional: Bool

  public init(_ role: TensorRole, expert: Int? = nil, _ shape: [Int], _ kind: TensorKind, isOptional: Bool = false) {
    self.role = role
    self.expert = expert
    self.shape = shape
    self.kind = kind
    self.isOptional = isOptional
  }
}

/// Values of each token that one block hands on to later blocks, besides hidden states.
public struct CarriedValue: Sendable, Hashable {
  /// Identifies them in the model.
  public var name: String
  /// How many there are for a token.
  public var width: Int

  public init(_ name: String, width: Int) {
    self.name = name
    self.width = width
  }
}

/// A site where values enter the cache of a part, and can be rounded.
public struct CacheSite: Sendable, Hashable {
  /// Where they are observed.
  public var site: Site
  /// Channels of one head; each head may have its own scale.
  public var headSize: Int
  /// Where the same values are observed before they are rotated to their positions; nil: they are not rotated.
  public var unrotated: Site?

  public init(_ site: Site, headSize: Int, unrotated: Site? = nil) {
    self.site = site
    self.headSize = headSize
    self.unrotated = unrotated
  }
}

/// What a part keeps of the tokens of one sequence that it has seen: rows of values under names that the part chooses.
public struct PartCache: Sendable {
  private var arrays: [String: [Float]] = [:]

  public init() {}

  /// All values that were kept under a name.
  public subscript(name: String) -> [Float] { arrays[name] ?? [] }

  /// Appends values to those under a name.
  public mutating func append(_ values: [Float], to name: String) { arrays[name, default: []] += values }

  /// Replaces the values under a name.
  public mutating func replace(_ name: String, by values: [Float]) { arrays[name] = values }
}

/// Which tokens the rows of a part's input belong to.
public struct SequenceRows: Sendable, Hashable {
  /// Number of rows of one sequence; the sequences are stored one after another.
  public var length: Int
  /// Position of the first row of each sequence.
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

/// What a part uses while it runs in a block.
public protocol BlockContext: AnyObject {
  /// The threads to use.
  var parallel: Parallel { get }
  /// Which tokens the rows of the input belong to.
  var sequences: SequenceRows { get }
  /// What the part kept of earlier tokens, if a single sequence runs step by step; nil if whole sequences run, and nothing is kept.
  var cache: PartCache? { get set }
  /// Whether the output of the part is used. False if the run only observes the inputs of linear layers.
  var isOutputWanted: Bool { get }
  /// Runs a linear layer of the block, with its bias if it has one: `[tokens, in]` to `[tokens, out]`. The input is rounded first if
  /// that is simulated.
  func linear(_ layer: Layer, _ x: Matrix) -> Matrix
  /// Passes values through a site: they are observed, and values that enter a cache are rounded in place if that is simulated.
  func pass(_ x: inout Matrix, through site: Site)
  /// Whether something observes `Site.attendedInput`.
  var observesAttendedInputs: Bool { get }
  /// A vector of the block, or nil if the block does not have it.
  func vector(_ role: TensorRole, isBias: Bool) -> [Float]?
  /// Applies a norm to values `[tokens, channels]`.
  func normed(_ x: Matrix, by norm: Norm) -> Matrix
  /// What the embedding gives this block of the tokens of the input (`EmbeddingDescription.perBlock`), `[tokens, channels]`; no
  /// columns if it gives nothing.
  var blockEmbedding: Matrix { get }
  /// What an earlier block has handed on of the tokens of the input, `[tokens, width]`.
  func carried(_ value: CarriedValue) -> Matrix
  /// Hands values `[tokens, width]` on to later blocks.
  func carry(_ values: Matrix, as value: CarriedValue)
  /// The result of `make`, computed once per key for all tokens that run through the block together.
  func remembering<Key: Hashable & Sendable, Value: Sendable>(_ key: Key, _ make: () -> Value) -> Value
}

extension BlockContext {
  public var observesAttendedInputs: Bool { false }

  /// A vector of the block that is not a bias, or nil if the block does not have it.
  public func vector(_ role: TensorRole) -> [Float]? { vector(role, isBias: false) }
}
