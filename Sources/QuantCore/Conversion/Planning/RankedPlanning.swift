/// Plans an output in which a method chooses between two types for each layer, by how sensitive it finds them.
///
/// Layers that clients join into one matrix get one type. What can be quantized outside of the blocks gets the wider type, and so does a layer
/// that cannot have the narrower one.
struct RankedPlanning {
  private let candidates: TypeCandidates
  private let chooser: MethodChain.Chooser
  /// Names of the two types in this output.
  private let wide, narrow: String
  /// Indices of the groups that can have either.
  private let free: [Int]

  private var request: ConversionRequest { candidates.request }
  private var passes: Planner.Passes { candidates.passes }

  /// - Throws: `Failure` if something else chooses the types too, no family knows the model, or no layer can have either type.
  init(_ planner: Planner, _ passes: Planner.Passes, _ chooser: MethodChain.Chooser, opened: Checkpoint) throws {
    if let scheme = passes.request.scheme, scheme != OrderedMix.name { throw chooser.refusal(beside: "scheme \(scheme)") }
    let (wides, narrows) = (chooser.widths.wide, chooser.widths.narrow)
    let candidates = try TypeCandidates(planner, passes, opened: opened, preferred: wides + narrows)
    let layers = candidates.groups.indices.filter { candidates.isInBlocks(candidates.groups[$0]) }
    func first(of names: [String]) -> String? { names.first { name in layers.contains { candidates.groups[$0].has(name) } } }
    let (wide, narrow) = (first(of: wides), first(of: narrows))
    let free = layers.filter { index in
      [wide, narrow].allSatisfy { $0.map { candidates.groups[index].has($0) } ?? false }
    }
    guard let wide, let narrow, !free.isEmpty else {
      throw Failure(
        .usage, "method.widths",
        "no layer of this output can have both types of method '\(chooser.id)': \(wides.joined(separator: " or ")), and "
          + narrows.joined(separator: " or "),
        file: passes.request.input, remedy: "Name types that the output holds with the method's options; \(command: "plugins") lists them.")
    }
    self.candidates = candidates
    self.chooser = chooser
    (self.wide, self.narrow, self.free) = (wide, narrow, free)
  }

  func plan(progress: any ProgressReporter) throws -> ConversionPlan {
    let sensitivities = try measure(progress)
    let groups = candidates.groups
    let wideLayers = chooser.widths.wideLayers(free.map { layer(groups[$0], sensitivities) })
    let narrowGroups = Set(free.indices.filter { !wideLayers.contains($0) }.map { free[$0] })
    return try candidates.plan(groups.indices.map { narrowGroups.contains($0) ? narrow : groups[$0].has(wide) ? wide : nil })
  }

  /// The weights of a group, and the mean of its matrices' sensitivities.
  private func layer(_ group: TypeCandidates.Group, _ sensitivities: [TensorID: Double]) -> (weights: Int, sensitivity: Double) {
    var (weights, sum) = (0, 0.0)
    for piece in candidates.pieces(of: group) {
      let count = piece.shape.reduce(1, *)
      weights += count
      sum += Double(count) * (sensitivities[piece.id] ?? 0)
    }
    return (weights, sum / Double(max(1, weights)))
  }

  /// - Throws: `Failure` if there is no tokenizer, or the text cannot be used.
  private func measure(_ progress: any ProgressReporter) throws -> [TensorID: Double] {
    // The plan that follows says the same of the text.
    var repeated: [String] = []
    let observed = try Observation(
      request: request, chain: passes.chain, source: passes.shaped.source, model: candidates.model, target: passes.target,
      opening: candidates.planner.opening, values: [])(&repeated)
    let wanted = Set(candidates.groups.flatMap { candidates.pieces(of: $0).map(\.id) })
    return try SensitivityMeasurement(
      passes.shaped.source, model: candidates.model, method: chooser.method, statistics: passes.chain.statistics.subtracting([.cross]),
      stored: observed.statistics, calibration: observed.calibration, wanted: wanted, precision: request.calibration.precision,
      threads: request.threads
    ).run(progress)
  }
}
