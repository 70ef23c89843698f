import ArgumentParser
import Logging
import QuantCore

/// `qconvert IN OUT`: plans, converts, reports.
struct Convert: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Quantize and convert a checkpoint (the default).",
    discussion: """
      OUT appears under its name only when it is complete, read back and verified.

      EXAMPLES
        qconvert model/ model.gguf --scheme q4_k_m
        qconvert model/ model.gguf -p awq:clip=off --scheme q4_k_m --calibration text.txt
        qconvert model/ model.gguf --scheme q4_k --pure --tensor 'output.weight=q8_0'
      """)

  @OptionGroup var conversion: ConversionOptions
  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let request = try conversion.request(threads: global.threadCount())
    let plan: ConversionPlan
    do {
      plan = try Planner(registry).plan(request)
    } catch var failure as Failure where failure.id == "input.missing" && failure.file == request.input {
      // The name of a command that does not exist is taken for IN.
      failure.remedy = "Check the path; 'qconvert --help' lists the commands."
      throw failure
    }
    for line in Wording.planned(plan) { session.log.debug("\(line)") }
    let progress = session.progress()
    defer { progress.finish() }
    let report = try Converter(registry).run(plan, progress: progress)
    progress.finish()
    session.log.notice("\(Wording.summary(report, output: request.output))")
    if session.isJSON { try session.answer(JSONOutput.document(report, output: request.output), text: "") }
  }
}
