/// What an output must pass before it gets its name: that this program's own reader opens it, the rules of `Validation` that need no
/// weights, and those of the client that it is for.
///
/// The weights were compared with what was written already, so they are not read again.
struct OutputValidation {
  let plan: ConversionPlan
  let opening: Opening

  init(_ plan: ConversionPlan, _ registry: Registry) {
    self.plan = plan
    opening = Opening(registry)
  }

  /// Checks the complete output.
  /// - Parameter path: where it is before it has its name; of several files the first.
  /// - Throws: `Failure` `output.invalid` with the first error, `client.refuses`, or what opening throws.
  func check(_ path: String) throws {
    let output: Checkpoint
    do { output = try opening.open(path, format: plan.format.id) } catch let failure as Failure where failure.kind == .data {
      throw invalid(Finding(.error, failure.id, failure.message, tensor: failure.tensor))
    }
    // What a lone file of weights means is said by a configuration that is not in the output; a block that predicts further tokens is
    // written alone for the file of the model that it belongs to.
    let isPart = plan.format is any WeightFormat.Type || plan.request.predictions == .alone
    let findings = isPart ? output.findings : Validation.structure(of: output, opening)
    if let error = findings.first(where: { $0.severity == .error }) { throw invalid(error) }
    try checkClient(output)
    try checkAdapter(of: output, path)
  }

  /// An adapter that is part of the output must fit it.
  private func checkAdapter(of output: Checkpoint, _ path: String) throws {
    guard let adapter = plan.adapterPath(beside: path) else { return }
    _ = try output.merging([AdapterRequest(path: adapter)], opening)
  }

  private func invalid(_ error: Finding) -> Failure {
    let isOfSource = Validation.structure(of: plan.source, opening).contains { $0.severity == .error && $0.id == error.id }
    return Failure(
      .data, "output.invalid", "the output would not be valid: \(error.sentence)", file: plan.source.path,
      remedy: isOfSource
        ? "The input has this error: repair it first." : "Change the settings or edits that cause it, or choose another output format.")
  }

  /// If no client is asked for, one that loads the output is enough. Packings of plug-ins may have clients of which nothing is known.
  private func checkClient(_ output: Checkpoint) throws(Failure) {
    guard output.adapter == nil, !plan.request.writesTowers else { return }
    let model = try? opening.describe(output)
    let packing = ClientLoading.packing(of: output)
    var clients = opening.registry.clients.filter { client in
      client.formats.contains(output.format) && (packing.map { client.packings.contains($0) } ?? true)
    }.map { (profile: $0, version: $0.version) }
    if let named = plan.request.client {
      let client = try Client(named: named, opening.registry)
      clients = [(client.profile, client.version)]
    }
    var first: (client: String, obstacle: ClientObstacle)?
    for (profile, version) in clients {
      guard let obstacle = ClientLoading.obstacle(of: profile, version: version, to: output, model) else { return }
      first = first ?? ("\(profile.id) \(version)", obstacle)
    }
    guard let first else { return }
    throw Failure(
      .unsupported, "client.refuses", "\(first.client) \(first.obstacle.reason)", file: plan.request.output,
      remedy: first.obstacle.remedy)
  }
}
