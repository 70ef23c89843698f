/// The methods of a request, in the order in which they apply.
struct MethodChain {
  let methods: [any QuantizationMethod]
  /// The stream that they observe.
  let propagation: Propagation

  /// - Throws: `Failure` of kind usage for an unknown method or option, and for a chain that cannot work.
  init(_ request: ConversionRequest, _ registry: Registry) throws {
    methods = try request.methods.map(registry.method)
    propagation = ConversionPlan.propagation(request, methods)
    try MethodChain.checkOrder(methods)
    let choosers = choosers
    if choosers.count > 1 { throw choosers[0].refusal(beside: "method '\(choosers[1].id)'") }
    if let path = request.importancePath, let method = methods.first(where: { $0.stages.contains(.rewrite) }) {
      throw Failure(
        .usage, "method.importance",
        "importance of the model's channels says nothing about the channels that method '\(type(of: method).id)' makes of them", file: path,
        remedy: "Give calibration text to a method that observes (\(setting: "plugin") gptq), or leave one of the two out.")
    }
    guard !request.isTrueSequential || propagation == .quantized else {
      throw Failure(
        .usage, "usage.true-sequential", "later layers can be observed after rounded ones in the quantized stream only",
        remedy: "Give \(setting: "propagate") quantized, or leave \(setting: "true-sequential") out.")
    }
  }

  /// - Throws: `Failure` `method.overruled` for a method that only rounds and is followed by another that rounds, or only corrects and is
  ///   followed by another that corrects.
  private static func checkOrder(_ methods: [any QuantizationMethod]) throws(Failure) {
    for (index, method) in methods.enumerated() {
      guard let stage = [MethodStage.round, .correct].first(where: { method.stages == [$0] }),
        let later = methods[(index + 1)...].last(where: { $0.stages.contains(stage) })
      else { continue }
      let (own, other) = (type(of: method).id, type(of: later).id)
      let does = stage == .round ? "rounds" : "corrects"
      throw Failure(
        .usage, "method.overruled", "method '\(own)' only \(does), but the later '\(other)' \(does) in its place",
        remedy: later.stages.contains(.transform) ? "Give '\(other)' first, or leave one of them out." : "Leave one of them out.")
    }
  }

  /// Whether anything takes notice of what flows through the model.
  var usesStatistics: Bool { methods.contains { !$0.statistics.isEmpty } }

  /// The method that chooses the types, with what it chooses from, if there is one.
  var chooser: Chooser? { choosers.first }

  private var choosers: [Chooser] { methods.compactMap { method in method.widths.map { Chooser(method: method, widths: $0) } } }

  /// A method that chooses the types.
  struct Chooser {
    let method: any QuantizationMethod
    let widths: WidthChoice

    var id: String { type(of: method).id }

    /// - Parameter other: what chooses types, too.
    func refusal(beside other: String) -> Failure {
      Failure(
        .usage, "method.types", "method '\(id)' and \(other) both choose the types",
        remedy: "Leave one of the two out; the method's options name its types (\(command: "plugins") \(id)).")
    }
  }

  /// Whether one of them gives the model other weights before anything else.
  var rewrites: Bool { methods.contains { $0.stages.contains(.rewrite) } }

  /// What they observe at each site.
  var statistics: Set<Statistic> { ConversionPlan.requirements(of: methods, propagation) }

  /// - Throws: `Failure` `method.model` if a method has nothing to do on a model, or cannot do it exactly.
  func check(on model: ModelDescription, path: String) throws(Failure) {
    for method in methods {
      guard let obstacle = method.obstacle(in: model) else { continue }
      throw Failure(
        .unsupported, "method.model",
        "method '\(type(of: method).id)' cannot be used on this model of family '\(model.family)': \(obstacle)", file: path,
        remedy: "Leave the method out, or choose another; \(command: "plugins") lists them.")
    }
  }

  /// A warning about matrices that methods leave to the rules of their schemes: a row of a matrix that the format holds transposed has
  /// the weights of one input, and statistics say nothing about rounding such a row.
  func cautions(on tensors: [PlannedTensor]) -> [String] {
    let turned = tensors.filter { $0.isTransposed && $0.id?.block != nil && $0.scheme.grid.kind != .float }
    guard methods.haveRounders, let first = turned.first else { return [] }
    return ["\(turned.count) matrices that are transposed in the output, such as '\(first.name)', are rounded without calibration"]
  }

  /// - Throws: `Failure` `method.unused` for a method that rounds if nothing is rounded.
  func checkUse(on tensors: [PlannedTensor], wanted: String) throws(Failure) {
    guard let method = methods.last(where: { $0.roundsByStatistics }),
      !tensors.contains(where: { $0.id?.block != nil && $0.scheme.grid.kind != .float })
    else { return }
    throw Failure(
      .usage, "method.unused",
      "method '\(type(of: method).id)' has nothing to round: scheme '\(wanted)' leaves every layer of every block unquantized",
      remedy: "Give a \(setting: "scheme") that quantizes (\(command: "plugins") lists them), or leave the method out.")
  }
}
