import ArgumentParser
import Logging
import QuantCore

/// `qconvert plan IN OUT`: what `convert` would write, determined from headers alone.
struct PlanCommand: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "plan",
    abstract: "Show what convert would write: tensors, sizes, memory. Writes nothing.",
    discussion: "The planned size of the output is exact to the byte.")

  @OptionGroup var conversion: ConversionOptions
  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let prepared = try Preparation(conversion, registry)
    let recipe = prepared.recipe
    if conversion.dumpRecipe {
      return try session.answer(JSONOutput.document([.init("recipe", recipe.document)]), text: recipe.document.yaml)
    }
    let progress = session.progress()
    defer { progress.finish() }
    let plan = try prepared.plan(threads: global.threadCount(), progress: progress)
    progress.finish()
    for warning in plan.warnings { session.log.warning("\(warning)") }
    let failure = Gate.failure(of: recipe.gates, Measurements(byteCount: plan.totalSize, bitsPerWeight: plan.bitsPerWeight))
    let document = JSONOutput.document(JSONOutput.members(plan), failure)
    if !session.isJSON { try session.console.data(PlanCommand.text(plan, style: session.outputStyle)) }
    if let failure { throw Rejection(failure: failure, document: document) }
    if session.isJSON { try session.answer(document, text: "") }
  }

  /// The table of tensors, and their totals.
  static func text(_ plan: ConversionPlan, style: Style) -> String {
    // Most outputs store nothing about activations.
    let roundsInputs = plan.tensors.contains { $0.activations != nil }
    var table = Table(
      [("TENSOR", .left), ("SHAPE", .left), ("FROM", .left), ("TO", .left)] + (roundsInputs ? [("INPUTS", .left)] : [])
        + [("BYTES", .right), ("NOTE", .left)])
    for tensor in plan.tensors {
      let stored = plan.source[tensor.sourceName]?.storage.schemeName ?? ""
      table.add(
        [tensor.name, Wording.shape(tensor.shape), stored, tensor.scheme.name]
          + (roundsInputs ? [tensor.activations?.name ?? ""] : []) + [tensor.byteCount.grouped, tensor.note ?? ""])
    }
    let front = plan.sizes.map { SizeTables.front($0.front).text(style: style) + "\n" } ?? ""
    return table.text(style: style) + "\n" + front + Wording.planned(plan).map { $0 + "\n" }.joined()
  }
}
