import QuantCore

/// What a conversion did, for programs: `convert --json`, and the file beside the output. Keys and their order are part of the
/// interface (`Docs/result-document.md`).
struct ResultDocument {
  let recipe: Recipe
  let plan: ConversionPlan
  /// The inputs as they were at the start, each with a hash of the beginning of its content.
  private let inputs: [JSON]
  /// What was done; before the conversion, what was planned.
  var report: ConversionReport
  var evaluation: EvaluationResult?

  /// - Throws: `Failure` if an input can no longer be read.
  init(_ recipe: Recipe, _ plan: ConversionPlan) throws {
    self.recipe = recipe
    self.plan = plan
    report = ConversionReport()
    report.complete(plan)
    inputs = try plan.source.files.map { path in
      let head = try Fingerprint.ofHead(path)
      return .object([
        .init("name", .string(Files.lastComponent(path))), .init("bytes", .int(head.bytes)), .init("head_xxh3_128", .string(head.hash)),
      ])
    }
  }

  var measurements: Measurements {
    Measurements(byteCount: report.totalSize, bitsPerWeight: report.bitsPerWeight, evaluation: evaluation)
  }

  /// - Parameter failure: why the result was discarded.
  func document(_ failure: Failure? = nil) -> JSON {
    let use = ResourceUse()
    let members: [JSON.Member] = [
      .init("version", .string(QuantCoreInfo.version)),
      .init("input", .string(plan.request.input)),
      .init("output", .string(plan.request.output)),
      .init("from", .string(plan.source.format)),
      .init("to", .string(plan.format.id)),
      .init("family", JSONOutput.optional(plan.model?.family)),
      .init("bytes", .int(report.totalSize)),
      .init("bits_per_weight", .double(report.bitsPerWeight)),
      .init("seconds", .double(report.seconds)),
      .init("cpu_seconds", .double(use.cpuSeconds)),
      .init("peak_memory_bytes", .int(use.peakMemoryBytes)),
      .init("threads", .int(plan.request.threads)),
      .init("recipe", recipe.document),
      .init("recipe_xxh3_128", JSONOutput.optional(plan.request.recipe.map { Fingerprint.of($0) })),
      .init("inputs", .array(inputs)),
      .init("expected_kld", JSONOutput.optional(plan.sizes?.divergence)),
      .init("calibration", plan.calibration.map { calibration($0) } ?? .null),
      .init("evaluation", evaluation.map { .object($0.members()) } ?? .null),
      .init("gates", .array(recipe.gates.map { gate($0) })),
      .init("tensors", .array(zip(plan.tensors, report.tensors).map { tensor($0, $1) })),
      .init("notes", JSONOutput.strings(report.notes)),
      .init("warnings", JSONOutput.strings(plan.warnings)),
    ]
    return JSONOutput.document(members, failure)
  }

  private func calibration(_ windows: CalibrationWindows) -> JSON {
    .object([
      .init("text", .string(windows.origin)),
      .init("text_xxh3_128", .string(windows.textHash)),
      .init("text_tokens", .int(windows.availableTokens)),
      .init("windows", .int(windows.windowCount)),
      .init("context", .int(windows.context)),
      .init("tokens_xxh3_128", .string(windows.fingerprint)),
      .init("propagation", .string(plan.propagation.rawValue)),
    ])
  }

  /// A gate whose figure was not measured has neither passed nor failed.
  private func gate(_ gate: Gate) -> JSON {
    let value = measurements[gate.key]
    return .object([
      .init("gate", .string(gate.description)),
      .init("value", JSONOutput.optional(value)),
      .init("passed", value.map { .bool(!gate.rejects($0)) } ?? .null),
    ])
  }

  private func tensor(_ planned: PlannedTensor, _ done: ConversionReport.TensorReport) -> JSON {
    .object([
      .init("name", .string(planned.name)),
      .init("source", .string(planned.sourceName)),
      .init("shape", JSONOutput.ints(planned.shape)),
      .init("scheme", .string(planned.scheme.name)),
      .init("packing", .string(type(of: planned.packing).id)),
      .init("activations", JSONOutput.optional(planned.activations?.name)),
      .init("bytes", .int(planned.byteCount)),
      .init("copied", .bool(planned.isCopy)),
      .init("note", JSONOutput.optional(planned.note)),
      .init("relative_error", JSONOutput.optional(done.relativeError)),
      .init("damping", JSONOutput.optional(done.record.damping)),
      .init("fallback", JSONOutput.optional(done.record.fallback)),
      .init("expert_tokens", JSONOutput.ints(done.expertTokens)),
      .init("seconds", JSONOutput.optional(done.seconds)),
    ])
  }
}
