import ArgumentParser
import QuantCore

/// What `convert` and `plan` take. Properties are nil or empty where nothing was typed: a recipe, and after it the defaults of
/// `Recipe`, then decide. `Setting.all` says where each belongs.
struct ConversionOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("Checkpoint to read: a file or a folder.", valueName: "IN"))
  var input: String?

  @Argument(help: ArgumentHelp("File or folder to write.", valueName: "OUT"))
  var output: String?

  @Option(help: ArgumentHelp("Recipe in YAML; options on the command line override it.", valueName: "FILE"))
  var recipe: String?

  @Flag(help: "Print the recipe that the command line comes to, with all defaults, and do nothing else.")
  var dumpRecipe = false

  @OptionGroup(title: "Input") var source: InputOptions
  @OptionGroup(title: "Rounding") var rounding: RoundingOptions
  @OptionGroup(title: "Calibration") var observation: ObservationOptions
  @OptionGroup(title: "Output") var target: OutputOptions
  @OptionGroup(title: "Evaluation") var quality: QualityOptions

  /// Everything that was typed, over what the recipe file says, over the defaults.
  /// - Throws: `Failure` of kind usage for an option, of kind config for the recipe file.
  func said() throws -> Recipe {
    var said = Recipe()
    if let recipe { try RecipeFile.read(recipe, into: &said) }
    for setting in Setting.all {
      if let content = setting.typed(self) { try setting.set(Entry(content, subject: setting.option), &said) }
    }
    if let file = rounding.tensorTypeFile {
      let rules = try Files.readText(file).split { $0.isWhitespace }.map { String($0) }
      guard !rules.isEmpty else {
        throw Failure(.usage, "rule.none", "holds no rule for tensors", file: file, remedy: "Write REGEX=SCHEME in a line each.")
      }
      said.conversion.tensorTypes += rules
    }
    return said
  }
}
