extension TensorRole {
  /// Makes what experts read from the hidden states, if that is narrower, and hidden states from the sum of their outputs.
  public static let expertLatent = TensorRole("expertLatent")
  public static let expertLatentOutput = TensorRole("expertLatentOutput")
  /// The norm before experts whose router reads hidden states through another one, and that of the router.
  public static let expertNorm = TensorRole("expertNorm")
  public static let routerNorm = TensorRole("routerNorm")
  /// What the weight of each expert is multiplied by.
  public static let expertScales = TensorRole("expertScales")
  /// What is added to the weighted sum of the outputs of experts.
  public static let expertSumBias = TensorRole("expertSumBias")
}

extension Site {
  /// The sum of the outputs of experts that work in a latent space.
  public static let expertSum = Site("feed-forward.sum")
  /// What a router reads that has a norm of its own.
  public static let routerInput = Site("feed-forward.router")
}

/// A mixture of experts: several feed-forward networks, of which a router chooses some for each token; perhaps with a shared expert that
/// every token visits.
///
/// Caution: the norm before the part also feeds the router. If its channels are scaled, the columns of the router, of every expert and
/// of the shared expert must be scaled.
public struct MixtureOfExperts: Part {
  /// One expert.
  public var expert: FeedForward
  /// How many there are.
  public var expertCount: Int
  /// Which of them a token visits, and how their outputs are weighted.
  public var routing: ExpertRouting
  /// The shared expert, which every token visits; nil: there is none.
  public var shared: FeedForward?
  /// Whether the output of the shared expert is weighted by the logistic function of the product with a matrix of one row.
  public var weighsShared = false
  /// Channels of the hidden states, if experts work in a latent space of another width between two matrices; nil: experts read the
  /// hidden states. The router and the shared expert always do.
  public var widthAroundLatent: Int?
  /// The norms between the input and the experts (and the shared expert), and between it and the router; nil: all read the input.
  public var norms: Norms?
  /// Whether a vector, if the checkpoint holds one, is added to the weighted sum of the outputs.
  public var hasSumBias = false

  /// Norms inside of a mixture, whose input is not normalized then.
  public struct Norms: Sendable, Hashable {
    public var experts: Norm
    public var router: Norm
    /// The factor of the channels that the router reads.
    public var routerScale: Float

    public init(experts: Norm, router: Norm, routerScale: Float = 1) {
      self.experts = experts
      self.router = router
      self.routerScale = routerScale
    }
  }

  public init(_ expert: FeedForward, expertCount: Int, routing: ExpertRouting, shared: FeedForward? = nil, weighsShared: Bool = false) {
    self.expert = expert
    self.expertCount = expertCount
    self.routing = routing
    self.shared = shared
    self.weighsShared = weighsShared
  }

  private var experts: Range<Int> { 0..<expertCount }
  private var width: Int { widthAroundLatent ?? expert.width }
  private var isLatent: Bool { widthAroundLatent != nil }

  public var tensors: [PartTensor] {
    var tensors = [PartTensor(.router, [expertCount, width], .router)]
    if let norms { tensors += [norms.experts, norms.router].filter(\.hasGain).map { PartTensor($0.role, [width], .norm) } }
    if routing.scalesExperts { tensors.append(PartTensor(.expertScales, [expertCount], .vector)) }
    if routing.hasCorrection { tensors.append(PartTensor(.routerCorrection, [expertCount], .vector)) }
    if isLatent { tensors.append(PartTensor(.expertLatent, [expert.width, width], .feedForward)) }
    tensors += experts.flatMap { expert.tensors(.gate, .up, .down, expert: $0, .expert) }
    if isLatent { tensors.append(PartTensor(.expertLatentOutput, [width, expert.width], .feedForward)) }
    if hasSumBias { tensors.append(PartTensor(.expertSumBias, [width], .bias, isOptional: true)) }
    if let shared { tensors += shared.tensors(.sharedGate, .sharedUp, .sharedDown, .feedForward) }
    if weighsShared { tensors.append(PartTensor(.sharedRouter, [1, width], .router)) }
    return tensors
  }

  public var linears: [(layer: Layer, input: Site)] {
    var linears: [(layer: Layer, input: Site)] = [(.router, norms == nil ? .feedForwardInput : .routerInput)]
    if weighsShared { linears.append((Layer(.sharedRouter), .feedForwardInput)) }
    if let shared {
      linears += [(Layer(.sharedGate), .feedForwardInput)].filter { _ in shared.isGated } + [(Layer(.sharedUp), .feedForwardInput)]
    }
    if isLatent { linears.append((Layer(.expertLatent), .feedForwardInput)) }
    for e in experts {
      if expert.isGated { linears.append((Layer(.gate, expert: e), .expertInput(e))) }
      linears.append((Layer(.up, expert: e), .expertInput(e)))
    }
    for e in experts { linears.append((Layer(.down, expert: e), .expertOutput(e))) }
    if isLatent { linears.append((Layer(.expertLatentOutput), .expertSum)) }
    if shared != nil { linears.append((Layer(.sharedDown), .sharedOutput)) }
    return linears
  }

  public var inputSites: [Site] { norms == nil ? sitesOfExperts : [] }

  /// The sites that see what experts read, perhaps only for some tokens.
  private var sitesOfExperts: [Site] {
    (norms == nil || shared != nil || isLatent ? [.feedForwardInput] : []) + (isLatent ? [] : experts.map { .expertInput($0) })
  }

  public var folds: [Fold] {
    var folds: [Fold] = []
    if let norm = norms?.experts, norm.hasGain, let first = sitesOfExperts.first {
      folds.append(Fold(site: first, dependents: Array(sitesOfExperts.dropFirst()), producer: .norm(norm.role)))
    }
    folds += experts.filter { _ in expert.letsScalesThrough }.map {
      Fold(site: .expertOutput($0), producer: .rows(Layer(.up, expert: $0)))
    }
    if let shared, shared.letsScalesThrough { folds.append(Fold(site: .sharedOutput, producer: .rows(Layer(.sharedUp)))) }
    return folds
  }

  /// Runs every token through the experts that the router chooses for it. Experts run in order, and each gets its tokens in order.
  public func run(_ unnormed: Matrix, in context: any BlockContext) -> Matrix? {
    let entered = norms.map { context.normed(unnormed, by: $0.experts) } ?? unnormed
    var input = entered
    if norms == nil || sitesOfExperts.contains(.feedForwardInput) { context.pass(&input, through: .feedForwardInput) }
    let scores = norms.map { routerScores(unnormed, $0, context) } ?? context.linear(.router, input)
    let visits = routing.visits(
      scores: scores, correction: context.vector(.routerCorrection), factors: context.vector(.expertScales))
    let read = isLatent ? context.linear(Layer(.expertLatent), input) : entered
    var result = Matrix(rows: read.rows, columns: read.columns)
    for index in experts {
      let visits = visits[index]
      if visits.isEmpty { continue }
      var gathered = read.rows(visits.map { $0.token })
      if routing.weighsInput {
        for (row, visit) in visits.enumerated() { gathered.scale(row: row, by: visit.weight) }
      }
      context.pass(&gathered, through: .expertInput(index))
      let layers = (Layer(.gate, expert: index), Layer(.up, expert: index), Layer(.down, expert: index))
      guard let output = expert.transform(gathered, layers: layers, output: .expertOutput(index), in: context) else { continue }
      for (row, visit) in visits.enumerated() {
        result.add(output, row: row, times: routing.weighsInput ? 1 : visit.weight, at: visit.token)
      }
    }
    if isLatent {
      context.pass(&result, through: .expertSum)
      result = context.linear(Layer(.expertLatentOutput), result)
    }
    if hasSumBias, let bias = context.vector(.expertSumBias) {
      for row in 0..<result.rows {
        for (c, value) in bias.enumerated() { result[row, c] += value }
      }
    }
    if let shared {
      let layers = (Layer(.sharedGate), Layer(.sharedUp), Layer(.sharedDown))
      let output = shared.transform(input, layers: layers, output: .sharedOutput, in: context)
      let weights = weighsShared ? context.linear(Layer(.sharedRouter), input) : nil
      for row in 0..<(output?.rows ?? 0) {
        guard let output else { continue }
        result.add(output, row: row, times: weights.map { $0[row, 0].sigmoid } ?? 1, at: row)
      }
    }
    return context.isOutputWanted ? result : nil
  }

  private func routerScores(_ input: Matrix, _ norms: Norms, _ context: any BlockContext) -> Matrix {
    var read = context.normed(input, by: norms.router)
    read.scale(rows: 0..<read.rows, by: norms.routerScale)
    context.pass(&read, through: .routerInput)
    return context.linear(.router, read)
  }
}
