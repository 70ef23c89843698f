/// Plans an output to order: finds what each tensor may become and what that costs, and chooses.
struct SizedPlanning {
  let candidates: TypeCandidates
  /// The methods with all their options.
  private let methodNames: [String]

  private var planner: Planner { candidates.planner }
  private var request: ConversionRequest { candidates.request }
  private var passes: Planner.Passes { candidates.passes }
  private var model: ModelDescription { candidates.model }
  private var groups: [TypeCandidates.Group] { candidates.groups }
  private var size: SizeRequest { request.size }
  /// The output differs from the size that was asked for by less than this share.
  private static let tolerance = 0.001

  /// - Throws: `Failure` if no family knows the model, or nothing in it has a choice.
  init(_ planner: Planner, _ request: ConversionRequest, opened: Checkpoint) throws {
    try request.size.check(request)
    candidates = try TypeCandidates(planner, planner.passes(request, opened), opened: opened, preferred: request.size.preferred)
    if let chooser = candidates.passes.chain.chooser { throw chooser.refusal(beside: "a size to order") }
    methodNames = try request.methods.map { given in
      let options = try planner.registry.method(given.id).options
      let values = try OptionValues(given.options, declarations: options, plugin: given.id)
      return given.id + (options.isEmpty ? "" : ":") + options.map { "\($0.name)=\(values.string($0.name))" }.joined(separator: ",")
    }
    guard groups.contains(where: { $0.options.count > 1 }) else {
      throw Failure(
        .usage, "sizes.candidates", "no tensor of this output has a choice of types", file: request.input,
        remedy: size.preferred.isEmpty
          ? "Give a \(setting: "scheme")." : "Name more types with \(setting: "prefer"), or leave it out; \(command: "plugins") lists them."
      )
    }
  }

  // MARK: Costs

  /// The tensors of the model that have a choice, with their candidates.
  private var subjects: [SizeMeasurement.Subject] {
    groups.flatMap { group in
      group.drafts.flatMap { index in
        passes.drafts[index].pieces.filter { $0.shape.count == 2 }.map { piece in
          SizeMeasurement.Subject(id: piece.id, schemes: group.options.map(\.scheme))
        }
      }
    }
  }

  private var fingerprint: String { ModelFingerprint.of(passes.shaped.source, description: model.canonicalText) }

  /// Measures the model.
  /// - Parameter text: what divergences are measured on; nil: other windows of the calibration text.
  /// - Throws: `Failure` if there is no tokenizer, or the text cannot be used.
  func measure(
    text: CalibrationRequest?, _ warnings: inout [String], progress: any ProgressReporter
  ) throws -> SizeAnalysis {
    for method in passes.chain.methods where method.stages.contains(.transform) {
      throw Failure(
        .unsupported, "sizes.transform",
        "method '\(type(of: method).id)' changes weights before they are rounded, and what a type costs is measured on the weights as they are",
        remedy: "Leave it out of the analysis: types that are chosen without it suit it, too.")
    }
    let tokenizer = try planner.opening.tokenizer(for: candidates.opened, path: request.tokenizerPath, preTokenizer: request.preTokenizer)
    let calibration = try Observation.windows(request.calibration, tokenizer, model, &warnings)
    var other = text ?? request.calibration
    if text == nil {
      other.samples = max(1, min(16, other.samples / 4))
      other.seed = other.seed &+ 1
    }
    var ignored: [String] = []
    let measured = try Observation.windows(other, tokenizer, model, &ignored)
    return try SizeMeasurement(
      passes.shaped.source, model: model, methods: passes.chain.methods, methodNames: methodNames, calibration: calibration, text: measured,
      subjects: subjects, fingerprint: fingerprint, threads: request.threads, progress: progress
    ).run()
  }

  /// What every option of every group adds to the divergence. Options that were not measured are left out.
  /// - Throws: `Failure` `sizes.not-measured` for a tensor of which the analysis knows none.
  func problem(_ analysis: SizeAnalysis) throws(Failure) -> SizeProblem {
    let costs = Dictionary(
      uniqueKeysWithValues: analysis.tensors.map { tensor in
        (tensor.key, Dictionary(tensor.candidates.map { ($0.scheme, $0.divergence) }, uniquingKeysWith: { first, _ in first }))
      })
    return SizeProblem(
      try groups.map { group throws(Failure) in
        let keys = group.drafts.flatMap { passes.drafts[$0].pieces.map(\.id.key) }
        let options = group.options.compactMap { option -> SizeProblem.Option? in
          let parts = keys.map { costs[$0]?[option.scheme.name] }
          if parts.contains(nil) { return nil }
          return .init(name: option.scheme.name, bytes: option.bytes, cost: parts.reduce(0) { $0 + ($1 ?? 0) })
        }
        guard !options.isEmpty else {
          throw Failure(
            .data, "sizes.not-measured", "the analysis has no type for this tensor that the output can hold", file: size.analysisPath,
            tensor: group.drafts.first.map { passes.drafts[$0].name },
            remedy:
              "Analyze the model for this kind of output: \(command: "analyze") with the same \(setting: "to") and \(setting: "packing").")
        }
        return options
      })
  }

  // MARK: Choice

  /// - Throws: `Failure` if there is no analysis and no text, or no mix meets the order.
  func plan(progress: any ProgressReporter) throws -> ConversionPlan {
    var warnings: [String] = []
    let analysis: SizeAnalysis
    if let path = size.analysisPath {
      analysis = try SizeAnalysis(path: path)
      try analysis.check(model: fingerprint, path: path)
      if analysis.methods != methodNames {
        let names = analysis.methods.isEmpty ? "rounding to nearest" : analysis.methods.joined(separator: ", ")
        warnings.append("the analysis was made for \(names): with other methods, the divergence will not be the one expected")
      }
    } else {
      guard !request.calibration.files.isEmpty else {
        throw Failure(
          .usage, "sizes.no-analysis", "types are chosen by what they cost this model, and nothing says what that is", file: request.input,
          remedy:
            "Give \(setting: "analysis") FILE, as \(command: "analyze") writes it, or \(setting: "calibration") with a text to measure on.")
      }
      analysis = try measure(text: nil, &warnings, progress: progress)
    }
    let problem = try problem(analysis)
    var (plan, allocation) = try fitted(problem, analysis)
    plan.sizes = SizeOutcome(
      divergence: analysis.divergence(ofSum: allocation.cost), front: front(problem, analysis, beside: plan.totalSize - allocation.bytes))
    plan.warnings = warnings + plan.warnings
    return plan
  }

  /// Sizes and divergences of some mixes, as evenly spread as the front allows.
  /// - Parameter fixed: bytes of the output that do not depend on the choice.
  func front(_ problem: SizeProblem, _ analysis: SizeAnalysis, beside fixed: Int) -> [SizeOutcome.Point] {
    let all = problem.front
    let weights = groups.reduce(0) { $0 + $1.drafts.reduce(0) { $0 + passes.drafts[$1].shape.reduce(1, *) } }
    guard let first = all.first, let last = all.last else { return [] }
    let count = min(16, all.count)
    var points: [SizeOutcome.Point] = []
    for step in 0..<count {
      let bytes = first.bytes + (last.bytes - first.bytes) * step / max(1, count - 1)
      guard let found = all.last(where: { $0.bytes <= bytes }) else { continue }
      let point = SizeOutcome.Point(
        bytes: found.bytes + fixed, bitsPerWeight: Double(found.bytes) * 8 / Double(max(1, weights)),
        divergence: analysis.divergence(ofSum: found.cost))
      if points.last != point { points.append(point) }
    }
    return points
  }

  /// The plan of the best mix that meets the order. What a format stores beside weights depends on the mix a little, so that a size is
  /// met in a few steps.
  private func fitted(_ problem: SizeProblem, _ analysis: SizeAnalysis) throws -> (ConversionPlan, SizeProblem.Allocation) {
    if let divergence = size.divergence {
      let sum = analysis.sum(ofDivergence: divergence)
      guard let found = problem.allocation(cost: sum) else {
        let least = analysis.divergence(ofSum: problem.largest.cost)
        throw outOfRange("a divergence of \(divergence)", "the largest types leave \(least)")
      }
      return (try plan(problem, found), found)
    }
    let smallest = problem.smallest
    let measured = try plan(problem, smallest)
    func bytes(_ plan: ConversionPlan) -> Int { size.bytes == nil ? plan.tensors.reduce(0) { $0 + $1.storedBytes } : plan.totalSize }
    let weights = Double(measured.weightCount)
    let wanted = size.bytes ?? Int((size.bitsPerWeight ?? 0) * weights / 8)
    guard bytes(measured) <= wanted else {
      throw outOfRange(
        described, "the smallest types make \(bytes(measured)) bytes, which are \(bits(bytes(measured), weights)) bits per weight")
    }
    var best = (plan: measured, allocation: smallest)
    var budget = wanted - (bytes(measured) - smallest.bytes)
    for _ in 0..<6 {
      guard let found = problem.allocation(bytes: budget), found != best.allocation else { break }
      let plan = try plan(problem, found)
      let gap = wanted - bytes(plan)
      if gap >= 0, found.cost < best.allocation.cost { best = (plan, found) }
      if gap >= 0, Double(gap) <= SizedPlanning.tolerance * Double(wanted) / 2 { break }
      let next = wanted - (bytes(plan) - found.bytes)
      // A change of what is stored beside the weights may go back and forth.
      if next == budget { break }
      budget = gap < 0 ? min(next, budget + gap) : next
    }
    let gap = Double(wanted - bytes(best.plan))
    if gap > SizedPlanning.tolerance * Double(wanted) {
      let reason = best.allocation.choice == problem.largest.choice ? "no type is larger" : "no mix of these types comes closer"
      best.plan.warnings.append("the output is \((gap / Double(wanted) * 1000).rounded() / 10) % smaller than \(described): \(reason)")
    }
    return best
  }

  private var described: String { size.bytes.map { "\($0) bytes" } ?? "\(size.bitsPerWeight ?? 0) bits per weight" }

  private func bits(_ bytes: Int, _ weights: Double) -> Double { (Double(bytes) * 8 / max(1, weights) * 100).rounded() / 100 }

  private func outOfRange(_ wanted: String, _ limit: String) -> Failure {
    Failure(
      .usage, "sizes.range", "\(wanted) cannot be reached: \(limit)", file: request.output,
      remedy: size.preferred.isEmpty ? "Order another size." : "Order another size, or name other types with \(setting: "prefer").")
  }

  private func plan(_ problem: SizeProblem, _ allocation: SizeProblem.Allocation) throws -> ConversionPlan {
    try candidates.plan(zip(problem.groups, allocation.choice).map { options, index in options[index].name })
  }
}
