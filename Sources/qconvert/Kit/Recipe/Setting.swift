import QuantCore

/// One setting of a conversion: its key in a recipe, its option on the command line, how its value is written in both, which
/// inputs it applies to, whether the output's bytes depend on it, and when it has an effect.
struct Setting: Sendable {
  /// Whether the bytes of the output depend on a setting. The evaluation that a model card shows does not count: it is filled in
  /// after the weights are written.
  enum Influence: Sendable {
    /// They do, and the output records the value.
    case recorded
    /// They do, but the value is a path on this machine: the output records what was found there.
    case local
    /// They are the same for every value.
    case none
  }

  /// Its key in a recipe; a dot separates a section from a key in it.
  let key: String
  /// Its name on the command line.
  let option: String
  /// The inputs it applies to; for any other input it is refused.
  let inputs: Set<CheckpointContent>
  /// Whether the bytes of the output depend on it.
  let influence: Influence
  /// When it changes anything.
  let effect: Effect
  /// What was typed, or nil.
  let typed: @Sendable (ConversionOptions) -> Entry.Content?
  /// - Throws: `Failure` of kind usage if the entry is not a value of this setting.
  let set: @Sendable (Entry, inout Recipe) throws -> Void
  /// The value as a recipe holds it; nil if there is none.
  let value: @Sendable (Recipe) -> JSON?

  init<Value, Option: TypedOption & SendableMetatype>(
    _ key: String, _ option: String, _ typed: any KeyPath<ConversionOptions, Option> & Sendable,
    _ place: any WritableKeyPath<Recipe, Value> & Sendable, _ form: ValueForm<Value>, for inputs: Set<CheckpointContent> = [.model],
    _ influence: Influence = .recorded, _ effect: Effect = .always
  ) {
    self.key = key
    self.option = option
    self.inputs = inputs
    self.influence = influence
    self.effect = effect
    self.typed = { $0[keyPath: typed].content }
    set = { entry, recipe in recipe[keyPath: place] = try form.read(entry) }
    value = { recipe in form.write(recipe[keyPath: place]) }
  }

  /// Whether a recipe gives it: a value that equals the default counts as not given.
  func isSaid(in recipe: Recipe) -> Bool { value(recipe) != value(Recipe()) }

  /// Refuses settings that apply to another kind of input.
  /// - Throws: `Failure` `setting.input` that names the first.
  static func check(_ recipe: Recipe, appliesTo input: Checkpoint) throws(Failure) {
    guard let setting = all.first(where: { !$0.inputs.contains(input.content) && $0.isSaid(in: recipe) }) else { return }
    let (found, needed) = input.content == .adapter ? ("an adapter", "models") : ("a model", "adapters")
    let merging = "merge the adapter into its model first: 'qconvert MODEL OUT --lora \(Files.lastComponent(recipe.conversion.input))'"
    throw Failure(
      .usage, "setting.input", "\(setting.option) applies to \(needed), and the input is \(found)", file: recipe.conversion.input,
      remedy: input.content == .adapter ? "Leave it out, or \(merging)." : "Leave it out.")
  }

  /// Refuses settings that change nothing although the user relies on them.
  /// - Returns: a warning for each setting that changes nothing and does no harm.
  /// - Throws: `Failure` `setting.no-effect` that names the first.
  static func check(_ situation: Effect.Situation) throws(Failure) -> [String] {
    var warnings: [String] = []
    for setting in all where setting.isSaid(in: situation.recipe) {
      switch setting.effect.verdict(situation) {
      case .effective: break
      case .harmless(let reason): warnings.append("\(setting.option) has no effect: \(reason)")
      case .mistaken(let reason, let remedy):
        throw Failure(.usage, "setting.no-effect", "\(setting.option) has no effect: \(reason)", remedy: remedy)
      }
    }
    return warnings
  }
}
