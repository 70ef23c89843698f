/// Chooses the codes of quantized weights. A method has five stages, each with a default that does nothing; methods can be chained.
///
/// - `sensitivity` ranks the matrices of the model, and the more sensitive get the wider of two types.
/// - `rewrites` gives the whole model other weights with which it computes the same, before anything is planned or observed.
/// - `transform` changes the weights of a block without changing what the block computes.
/// - `rounder` chooses parameters and codes of one matrix in the scheme that the plan gave it.
/// - `factors` approximates what rounding lost of one matrix, for an adapter beside the output.
///
/// A method knows schemes only through the `Scheme` protocol, and no format or family: it sees logical matrices and the block's graph.
public protocol QuantizationMethod: Plugin {
  /// Options with defaults.
  static var options: [OptionDeclaration] { get }
  /// What must be observed at every site. Empty: the method needs neither text nor a family.
  static var requirements: Set<Statistic> { get }
  /// The stream of activations that the method wants to observe. If any method of a chain wants the quantized stream, all observe it.
  static var propagation: Propagation { get }
  /// The scheme or preset that the method is meant for, used if none was asked for; nil: the format's default.
  static var defaultScheme: String? { get }
  /// The levels of quality that the method takes part in, each with the options that differ from the defaults.
  static var qualities: [Quality: [String: String]] { get }
  init(_ options: OptionValues) throws
  /// What the method does with the given options. Without `.round`, it is never asked for a rounder. A method that only rounds is
  /// refused if a later method of the chain rounds, because only the last one would round; and so is one that only corrects.
  var stages: Set<MethodStage> { get }
  /// What must be observed with the given options; `requirements` unless an option asks for more.
  var statistics: Set<Statistic> { get }
  /// Whether the method rounds layers, and uses statistics to do so. Such a method is refused if no layer of a block is quantized, and
  /// a layer without statistics is rounded to nearest instead, which the report says. False: the method works before rounding
  /// (SmoothQuant), or without statistics.
  var roundsByStatistics: Bool { get }

  /// Methods that belong in front of this one, with their options; they are put there unless an earlier method of the chain changes
  /// weights already, or the registry lacks them.
  var companions: [(id: String, options: [String: String])] { get }

  /// Why the method has nothing to do on a model, or cannot do it exactly; nil: it can be used.
  func obstacle(in model: ModelDescription) -> String?
  /// The types among which the method chooses; nil unless `stages` has `.choose`.
  var widths: WidthChoice? { get }
  /// How much errors in a matrix of a block matter, if `stages` has `.choose`: called once for each matrix that can have either type, before
  /// anything is planned. Only the order of the results counts.
  func sensitivity(of task: SensitivityTask) throws -> Double
  /// Called once for a model, if `stages` has `.rewrite`. Everything else, other methods included, sees the model with these tensors, which
  /// is available as floats only. Its logits must stay equal within 1e-4.
  /// - Parameter vector: a gain or bias of the model, or nil if the checkpoint lacks it.
  /// - Returns: what becomes of some tensors; those that the checkpoint lacks are ignored.
  func rewrites(of model: ModelDescription, vector: (TensorID) -> [Float]?) -> [TensorID: any TensorRewrite]
  /// Changes a block in place. Without rounding, logits must stay equal within 1e-4.
  /// - Returns: one line per thing worth reporting.
  func transform(_ block: inout BlockWorkspace) throws -> [String]
  /// Called once for each matrix that is quantized, whether its block was observed or its rows stream through. Nil leaves rounding to
  /// the previous method of the chain, and finally to `Scheme.encode`. Not called if a tensor stays unquantized, or if the codes of
  /// the source are kept.
  func rounder(for task: RoundingTask) throws -> (any Rounder)?
  /// The shape of the corrections; nil unless `stages` has `.correct`.
  var correction: CorrectionShape? { get }
  /// Called once for each matrix of a block before it is rounded, if `stages` has `.correct`: what the correction is going to hold, which
  /// is subtracted from the weights that are rounded. Nil: the weights are rounded as they are.
  func anticipation(of task: AnticipationTask) throws -> LowRankFactors?
  /// Called once for each matrix of a block that was rounded, after all its rows are. The next block sees the corrected outputs.
  /// - Returns: matrices of the rank that the task says.
  func factors(for task: CorrectionTask) throws -> LowRankFactors
}

extension QuantizationMethod {
  public static var options: [OptionDeclaration] { [] }
  public static var requirements: Set<Statistic> { [] }
  public static var propagation: Propagation { .original }
  public static var defaultScheme: String? { nil }
  public static var qualities: [Quality: [String: String]] { [:] }
  public var statistics: Set<Statistic> { Self.requirements }
  public var roundsByStatistics: Bool { false }
  public var companions: [(id: String, options: [String: String])] { [] }
  public func obstacle(in model: ModelDescription) -> String? { nil }
  public var widths: WidthChoice? { nil }
  public func sensitivity(of task: SensitivityTask) throws -> Double { 0 }
  public func rewrites(of model: ModelDescription, vector: (TensorID) -> [Float]?) -> [TensorID: any TensorRewrite] { [:] }
  public func transform(_ block: inout BlockWorkspace) throws -> [String] { [] }
  public func rounder(for task: RoundingTask) throws -> (any Rounder)? { nil }
  public var correction: CorrectionShape? { nil }
  public func anticipation(of task: AnticipationTask) throws -> LowRankFactors? { nil }
  public func factors(for task: CorrectionTask) throws -> LowRankFactors {
    LowRankFactors(
      outputs: Matrix(rows: task.error.rows, columns: task.rank), inputs: Matrix(rows: task.rank, columns: task.error.columns))
  }
}

/// What a method can do to a model.
public enum MethodStage: Sendable {
  /// Chooses which of two types each layer gets.
  case choose
  /// Gives the whole model other weights with which it computes the same.
  case rewrite
  /// Changes weights before they are rounded, so that rounding loses less.
  case transform
  /// Chooses parameters and codes.
  case round
  /// Approximates what rounding lost, in an adapter beside the output.
  case correct
}

extension [any QuantizationMethod] {
  /// Whether one of them may round a matrix.
  package var haveRounders: Bool { contains { $0.stages.contains(.round) } }

  /// The method that corrects what the others rounded, if there is one.
  package var corrector: (any QuantizationMethod)? { last { $0.correction != nil } }

  /// The rounder of the last method that has one for a matrix; nil if rounding is left to the scheme's own rule.
  package func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard task.scheme.grid.kind != .float else { return nil }
    for method in reversed() where method.stages.contains(.round) {
      if let rounder = try method.rounder(for: task) { return rounder }
    }
    return nil
  }
}

/// Which blocks run before the block that is observed.
public enum Propagation: String, Sendable, CaseIterable {
  /// The original blocks.
  case original
  /// The quantized blocks, with the values that the written codes mean, so that a method can compensate for their errors.
  case quantized
}

/// One matrix to be rounded.
public struct RoundingTask: Sendable {
  /// Identifies the matrix in the model; nil without a family.
  public var id: TensorID?
  /// Name in the output, for messages.
  public var name: String
  /// The scheme that it is rounded to.
  public var scheme: any Scheme
  /// Statistics of the matrix's input, after all transforms; nil without calibration.
  public var statistics: SiteStatistics?
  /// How much errors in each column weigh, one non-negative value per column, if given with `--importance`; else nil.
  public var importance: [Float]?
  /// Threads for work that is done once per matrix. The rows themselves are already rounded by several threads.
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
  ///   - rows: their row numbers, in the model's order.
  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel)
}

extension Rounder {
  public var record: RoundingRecord { RoundingRecord() }
}

/// What is worth knowing about how one matrix was rounded.
public struct RoundingRecord: Sendable, Equatable {
  /// What was added to the diagonal of the Gram matrix, relative to its mean, or nil.
  public var damping: Double?
  /// Why the method did not do what it usually does; shown as a warning. Nil: it did.
  public var fallback: String?

  public init(damping: Double? = nil, fallback: String? = nil) {
    self.damping = damping
    self.fallback = fallback
  }

  /// Adds the record of other rows of the same tensor: keeps the strongest damping and the first fallback.
  package mutating func add(_ other: RoundingRecord) {
    damping = [damping, other.damping].compactMap { $0 }.max()
    fallback = fallback ?? other.fallback
  }
}

/// The weights of one block as 32-bit floats, with the statistics of its sites.
public struct BlockWorkspace: Sendable {
  /// Number of the block, from 0.
  public let index: Int
  /// The model that the block belongs to.
  public let model: ModelDescription
  /// Its description.
  public var description: BlockDescription { model.blocks[index] }
  /// Which layers read which sites.
  public var graph: BlockGraph { description.graph }
  /// Matrices of the linear layers, `[out, in]`.
  public var matrices: [Layer: Matrix]
  /// Norm gains and biases, by tensor.
  public var vectors: [TensorID: [Float]]
  /// What was observed, by site.
  public var statistics: [Site: SiteStatistics]
  /// The scheme that each linear layer will be rounded to; a layer that stays unquantized is absent.
  public var schemes: [Layer: any Scheme]
  /// How clients will round the inputs of a layer; a layer whose input is not rounded is absent.
  public var activations: [Layer: ActivationScheme] = [:]
  /// How much errors in the columns of a layer weigh, if importance was given; folds adjust it.
  public var importance: [Layer: [Float]] = [:]
  /// Finds a scheme by name, for methods with an option that names one.
  public var schemeNamed: @Sendable (String) throws -> any Scheme
  /// The rounder of the methods after the one that transforms the block; nil if they leave rounding to the schemes.
  public var rounderBehind: @Sendable (RoundingTask) throws -> (any Rounder)? = { _ in nil }
  /// Threads for the matrix products of a search.
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

extension BlockWorkspace {
  /// How many tokens the router sent to the expert that a layer belongs to; nil for other layers, and if nothing was observed.
  package func tokens(reaching layer: Layer) -> Int? {
    guard layer.expert != nil, let site = graph.input(of: layer), !statistics.isEmpty else { return nil }
    return statistics[site].map { $0.tokens - $0.borrowedTokens } ?? 0
  }
}
