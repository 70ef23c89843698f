import ArgumentParser
import Logging
import QuantCore

/// `qconvert IN OUT`: plans, converts, evaluates, reports.
struct Convert: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Quantize and convert a checkpoint (the default).",
    discussion: """
      OUT gets its name only after it is complete, has been read back and validated, and passes every --fail-if.

      EXAMPLES
        qconvert model/ model.gguf --scheme q4_k_m
        qconvert model/ model.gguf -p awq:clip=off --scheme q4_k_m --calibration text.txt
        qconvert model/ model.gguf --scheme q4_k --pure --tensor 'output.weight=q8_0'
        qconvert model/ model.gguf --eval-text test.txt --fail-if 'kld.mean > 0.02'
        qconvert --recipe recipe.yaml model/ model.gguf
      """)

  @OptionGroup var conversion: ConversionOptions
  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let prepared = try Preparation(conversion, registry)
    let recipe = prepared.recipe
    if conversion.dumpRecipe {
      return try session.answer(JSONOutput.document([.init("recipe", recipe.document)]), text: recipe.document.yaml)
    }
    let plan: ConversionPlan
    do {
      let progress = session.progress()
      defer { progress.finish() }
      plan = try prepared.plan(threads: global.threadCount(), progress: progress)
    } catch var failure as Failure where failure.id == "input.missing" && failure.file == recipe.conversion.input {
      // A mistyped command is parsed as IN.
      failure.remedy = "Check the path; 'qconvert --help' lists the commands."
      throw failure
    }
    for line in Wording.planned(plan) { session.log.debug("\(line)") }
    try convert(recipe, plan, registry, session)
  }

  private func convert(_ recipe: Recipe, _ plan: ConversionPlan, _ registry: Registry, _ session: Session) throws {
    var result = try ResultDocument(recipe, plan)
    var document = JSON.null
    let file = try ResultFile(recipe, plan)
    do {
      // Gates on sizes can be decided before the conversion.
      if let failure = Gate.failure(of: recipe.gates, result.measurements) { throw failure }
      let evaluation =
        recipe.evaluation.text.isEmpty ? nil : try ConversionEvaluation(recipe.evaluation, plan, gates: recipe.gates, registry: registry)
      let progress = session.progress()
      defer { progress.finish() }
      var written: OutputTransaction?
      var rejected: Failure?
      session.reportsInterrupt(of: plan)
      defer { InterruptCleanup.reportInterrupts(nil) }
      try Converter(registry).run(plan, progress: progress) { report, path in
        result.report = report
        result.evaluation = try evaluation?.run(path, session)
        if var failure = Gate.failure(of: recipe.gates, result.measurements) {
          guard recipe.keepsRejected else { throw failure }
          failure.remedy = "The output was kept, as --keep-rejected asks for."
          rejected = failure
        }
        document = result.document(rejected)
        written = try file?.write(document)
        return result.evaluation?.figures ?? [:]
      }
      try written?.giveName()
      if let rejected { throw Rejection(failure: rejected, document: document) }
    } catch let failure as Failure where failure.kind == .gate {
      document = result.document(failure)
      // The document of a rejected output is written only to an explicit path: there is no output to put it beside.
      if case .file = recipe.report { try file?.write(document).giveName() }
      throw Rejection(failure: failure, document: document)
    }
    session.log.notice("\(Wording.summary(result.report, output: plan.mainOutput))")
    if let evaluation = result.evaluation { session.log.notice("\(Wording.summary(evaluation))") }
    guard session.isJSON else { return }
    do {
      try session.answer(document, text: "")
    } catch var failure as Failure {
      failure.message += "; \(plan.mainOutput) is complete and in place"
      throw failure
    }
  }
}
