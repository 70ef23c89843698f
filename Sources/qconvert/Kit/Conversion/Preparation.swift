import QuantCore

/// What a command line of `convert` or `plan` means: its settings with every default, and the plan that follows from them.
struct Preparation {
  /// All settings, defaults included.
  let recipe: Recipe
  /// The settings that were given.
  private let said: Recipe
  private let planner: Planner
  private let registry: Registry
  /// The input; nil if it cannot be opened, which the plan reports.
  private let input: Checkpoint?

  /// - Throws: `Failure` for a recipe file that cannot be read, and for an unknown method or format.
  init(_ options: ConversionOptions, _ registry: Registry) throws {
    self.registry = registry
    planner = Planner(registry)
    said = try options.said()
    input = try? planner.open(said.conversion)
    recipe = try said.resolved(registry, opened: input)
  }

  /// - Throws: `Failure` that says what is impossible, or which setting does not apply to the input or would change nothing.
  /// - Parameter progress: of a measurement, if types are chosen by one.
  func plan(threads: Int, progress: any ProgressReporter = SilentProgress()) throws -> ConversionPlan {
    try recipe.checkGates()
    let model = recipe.evaluation.text.isEmpty ? nil : input.flatMap { try? Opening(registry).describe($0) }
    let request = try recipe.request(threads: threads, isEncoder: model?.head.pooling != nil)
    if let input { try Setting.check(said, appliesTo: input) }
    var plan = try planner.plan(request, opened: input, progress: progress)
    if let input { plan.warnings += try Setting.check(.init(recipe: said, input: input, plan: plan, registry: registry)) }
    return plan
  }
}
