import ArgumentParser
import QuantCore

/// The options of `convert` and `plan`. Properties are nil or empty if nothing was typed: then a recipe file decides, or else the
/// defaults of `Recipe`. `Setting.all` maps each option to its place in a recipe.
struct ConversionOptions: ParsableArguments {
  @Argument(help: ArgumentHelp("Checkpoint to read: a file or a folder.", valueName: "IN"))
  var input: String?

  @Argument(help: ArgumentHelp("File or folder to write.", valueName: "OUT"))
  var output: String?

  @Option(help: ArgumentHelp("Read settings from a YAML recipe; options on the command line override it.", valueName: "FILE"))
  var recipe: String?

  @Flag(help: "Print the recipe of this command line, with all defaults, and do nothing else.")
  var dumpRecipe = false

  @OptionGroup(title: "Input") var source: InputOptions
  @OptionGroup(title: "Rounding") var rounding: RoundingOptions
  @OptionGroup(title: "Size") var size: SizeOptions
  @OptionGroup(title: "Calibration") var observation: ObservationOptions
  @OptionGroup(title: "Output") var target: OutputOptions
  @OptionGroup(title: "Evaluation") var quality: QualityOptions

  /// The settings of the command line, which override the recipe file's, which override the defaults.
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
        throw Failure(.usage, "rule.none", "contains no tensor rules", file: file, remedy: "Write one REGEX=SCHEME per line.")
      }
      said.conversion.tensorTypes += rules
    }
    return said
  }
}
