/// How the codes are chosen. A method has stages, each with a default that does nothing; methods chain.
///
/// - `transform` changes the weights of a block without changing what the block computes.
/// - `rounder` chooses parameters and codes of one matrix on the scheme that the plan gave it.
///
/// A method knows schemes only as the protocol, and no format or family: it sees logical matrices and the block's graph.
public protocol QuantizationMethod: Plugin {
  /// Options with defaults.
  static var options: [OptionDeclaration] { get }
  /// What must be observed at every site. Empty: the method needs neither text nor a family.
  static var requirements: Set<Statistic> { get }
  /// Which stream of activations the method wants to observe. One method that wants the quantized stream decides for all.
  static var propagation: Propagation { get }
  /// The scheme or preset that the method is about, used where none is asked for; nil: the format's.
  static var defaultScheme: String? { get }
  init(_ options: OptionValues) throws
  /// What the method does with the options that were given: one without `.round` is never asked for a rounder. A method that does
  /// nothing but round is refused before another one that rounds, because only the last of them would round.
  var stages: Set<MethodStage> { get }
  /// What must be observed with the options that were given; `requirements` unless an option asks for more.
  var statistics: Set<Statistic> { get }
  /// Whether the method is about how layers are rounded, and goes by what it observes: it has nothing to do where no layer of a
  /// block is quantized, and a layer of which nothing was observed is rounded to nearest instead, which the report says.
  /// False: it works in front of rounding (SmoothQuant), or without statistics.
  var roundsByStatistics: Bool { get }

  /// Why the method has nothing to do on a model, or cannot do it exactly; nil: it can.
  func obstacle(in model: ModelDescription) -> String?
  /// Changes a block in place. With rounding switched off, logits stay equal within 1e-4.
  /// - Returns: one line per thing worth reporting.
  func transform(_ block: inout BlockWorkspace) throws -> [String]
  /// Prepared once for each matrix that is quantized, whether its block was observed or its rows stream through; nil leaves rounding
  /// to the method before it in the chain, and at last to `Scheme.encode`. Not asked where a tensor stays unquantized, or where
  /// codes of the source are kept.
  func rounder(for task: RoundingTask) throws -> (any Rounder)?
}

extension QuantizationMethod {
  public static var options: [OptionDeclaration] { [] }
  public static var requirements: Set<Statistic> { [] }
  public static var propagation: Propagation { .original }
  public static var defaultScheme: String? { nil }
  public var statistics: Set<Statistic> { Self.requirements }
  public var roundsByStatistics: Bool { false }
  public func obstacle(in model: ModelDescription) -> String? { nil }
  public func transform(_ block: inout BlockWorkspace) throws -> [String] { [] }
  public func rounder(for task: RoundingTask) throws -> (any Rounder)? { nil }
}

/// What a method can do to a model.
public enum MethodStage: Sendable {
  /// Changes weights before they are rounded, so that rounding does less harm.
  case transform
  /// Chooses parameters and codes.
  case round
}

extension [any QuantizationMethod] {
  /// Whether one of them may round a matrix.
  package var haveRounders: Bool { contains { $0.stages.contains(.round) } }

  /// The rounder of the last method that has one for a matrix; nil where rounding is left to the scheme's own rule.
  package func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard task.scheme.grid.kind != .float else { return nil }
    for method in reversed() where method.stages.contains(.round) {
      if let rounder = try method.rounder(for: task) { return rounder }
    }
    return nil
  }
}

/// What runs in front of the block that is observed.
public enum Propagation: String, Sendable, CaseIterable {
  /// The unquantized blocks.
  case original
  /// The blocks with the numbers that the written codes mean, so that a method can make up for errors made before.
  case quantized
}

/// One matrix to be rounded.
public struct RoundingTask: Sendable {
  /// Its part in the model; nil without a family.
  public var id: TensorID?
  /// Name in the output, for messages.
  public var name: String
  /// What it is rounded to.
  public var scheme: any Scheme
  /// Statistics of the matrix's input, after all transforms; nil without calibration.
  public var statistics: SiteStatistics?
  /// What errors in a column weigh, one non-negative number per column, where a person gave them (`--importance`); else nil.
  public var importance: [Float]?
  /// For work that is done once per matrix. Rows are rounded by several threads already.
  public var parallel: Parallel

  public init(
    id: TensorID?, name: String, scheme: any Scheme, statistics: SiteStatistics?, importance: [Float]? = nil,
    parallel: Parallel = Parallel(threads: 1)
  ) {
    self.id = id
    self.name = name
    self.scheme = scheme
    self.statistics = statistics
    self.importance = importance
    self.parallel = parallel
  }
}

/// Rounds rows of one matrix; called with disjoint row ranges from several threads.
public protocol Rounder: Sendable {
  /// How this matrix is rounded, for the result document.
  var record: RoundingRecord { get }
  /// - Parameters:
  ///   - panel: whole rows of the matrix.
  ///   - rows: which rows they are, in the model's order.
  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel)
}

extension Rounder {
  public var record: RoundingRecord { RoundingRecord() }
}

/// What is worth knowing about how one matrix was rounded.
public struct RoundingRecord: Sendable, Equatable {
  /// What was added to the diagonal of the Gram matrix, relative to its mean, or nil.
  public var damping: Double?
  /// Why the method did something else than it usually does; a person is warned with it. Nil: all went as usual.
  public var fallback: String?

  public init(damping: Double? = nil, fallback: String? = nil) {
    self.damping = damping
    self.fallback = fallback
  }

  /// Takes in the record of another part of the same tensor: the strongest damping, the first fallback.
  package mutating func add(_ other: RoundingRecord) {
    damping = [damping, other.damping].compactMap { $0 }.max()
    fallback = fallback ?? other.fallback
  }
}

/// The weights of one block in 32-bit floats, with what was observed at its sites.
public struct BlockWorkspace: Sendable {
  /// Number of the block, from 0.
  public let index: Int
  /// The model that the block belongs to.
  public let model: ModelDescription
  /// Its description.
  public var description: BlockDescription { model.blocks[index] }
  /// Who feeds whom in it.
  public var graph: BlockGraph { description.graph }
  /// Matrices of the linear layers, `[out, in]`.
  public var matrices: [Layer: Matrix]
  /// Norm gains and biases, by tensor.
  public var vectors: [TensorID: [Float]]
  /// What was observed, by site.
  public var statistics: [Site: SiteStatistics]
  /// The scheme that each linear layer will be rounded to; a layer that stays unquantized is absent.
  public var schemes: [Layer: any Scheme]
  /// How readers of the output will round the inputs of a layer; a layer whose input stays exact is absent.
  public var activations: [Layer: ActivationScheme] = [:]
  /// What errors in the columns of a layer weigh, where a person gave it; follows transforms as the inputs do.
  public var importance: [Layer: [Float]] = [:]
  /// Finds a scheme by name, for methods with an option that names one.
  public var schemeNamed: @Sendable (String) throws -> any Scheme
  /// The rounder of the methods behind the one that transforms the block; nil where they leave rounding to the schemes.
  public var rounderBehind: @Sendable (RoundingTask) throws -> (any Rounder)? = { _ in nil }
  /// For the products of a search.
  public let parallel: Parallel

  public init(
    index: Int, model: ModelDescription, matrices: [Layer: Matrix], vectors: [TensorID: [Float]],
    statistics: [Site: SiteStatistics], schemes: [Layer: any Scheme] = [:],
    parallel: Parallel = Parallel(threads: 1), schemeNamed: (@Sendable (String) throws -> any Scheme)? = nil
  ) {
    self.index = index
    self.model = model
    self.matrices = matrices
    self.vectors = vectors
    self.statistics = statistics
    self.schemes = schemes
    self.parallel = parallel
    self.schemeNamed = schemeNamed ?? { throw Failure(.usage, "scheme.unknown", "unknown scheme '\($0)'") }
  }
}

extension QuantizationMethod { public static var axis: PluginAxis { .method } }
