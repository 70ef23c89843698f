import ArgumentParser
import QuantCore

/// What `convert` and `plan` take. Properties are nil or empty where nothing was typed: a recipe, and after it the defaults of
/// `Recipe`, then decide. `Setting.all` says where each belongs.
struct ConversionOptions: ParsableArguments {
  private static let defaults = Recipe()

  @Argument(help: ArgumentHelp("Checkpoint to read: a file or a folder.", valueName: "IN"))
  var input: String?

  @Argument(help: ArgumentHelp("File or folder to write.", valueName: "OUT"))
  var output: String?

  @Option(help: ArgumentHelp("Recipe in YAML; options on the command line override it.", valueName: "FILE"))
  var recipe: String?

  @Flag(help: "Print the recipe that the command line comes to, with all defaults, and do nothing else.")
  var dumpRecipe = false

  @Option(
    name: .shortAndLong, parsing: .singleValue,
    help: ArgumentHelp("Method, with options; repeatable, applied in order.", valueName: "NAME[:k=v,...]"))
  var plugin: [String] = []

  @Option(help: ArgumentHelp("Scheme or preset. (default: the format's own)", valueName: "NAME"))
  var scheme: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Scheme of some tensors: glob or re:REGEX; repeatable, the last match wins.", valueName: "PATTERN=SCHEME"))
  var tensor: [String] = []

  @Flag(inversion: .prefixedNo, help: "Use the scheme for every tensor that may be quantized, without a preset's mix.")
  var pure: Bool?

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of IN. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of OUT. (default: by extension)", valueName: "FORMAT"))
  var to: String?

  @Flag(inversion: .prefixedNo, help: "Replace an existing output.")
  var force: Bool?

  @Option(parsing: .singleValue, help: ArgumentHelp("Calibration text; repeatable. (default: built-in text)", valueName: "FILE"))
  var calibration: [String] = []

  @Option(help: ArgumentHelp("Windows of calibration text. (default: \(defaults.conversion.calibration.samples))", valueName: "N"))
  var samples: Int?

  @Option(help: ArgumentHelp("Tokens per window. (default: \(defaults.conversion.calibration.context))", valueName: "N"))
  var context: Int?

  @Option(help: ArgumentHelp("0, the default: windows spread evenly; else chosen at random with this seed.", valueName: "N"))
  var seed: UInt64?

  @Option(help: ArgumentHelp("Begin windows with BOS; auto, the default: as the tokenizer's rule says.", valueName: "WHEN"))
  var bos: BOSChoice?

  @Option(help: ArgumentHelp("Activations that methods observe; auto, the default: as they ask.", valueName: "STREAM"))
  var propagate: StreamChoice?

  @Flag(inversion: .prefixedNo, help: "Observe later layers of a block behind its rounded earlier ones.")
  var trueSequential: Bool?

  @Option(help: ArgumentHelp("A config.json instead of the one beside IN.", valueName: "FILE"))
  var config: String?

  @Option(help: ArgumentHelp("Tokenizer file or folder instead of IN's own.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name of the pre-tokenizer, where it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Flag(inversion: .prefixedNo, help: "Keep NaN and infinity instead of refusing them.")
  var allowNonfinite: Bool?

  @Flag(inversion: .prefixedNo, help: "Quantize weights that are quantized already; quality is lost twice.")
  var allowRequantize: Bool?

  @Option(help: ArgumentHelp("Largest file of a split output: 5GB, 512MiB.", valueName: "SIZE"))
  var shardSize: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Text on which the output is held against IN before it is put in place; repeatable.", valueName: "FILE"))
  var evalText: [String] = []

  @Option(help: ArgumentHelp("Tokens per window of the evaluation. (default: \(defaults.evaluation.context))", valueName: "N"))
  var evalContext: Int?

  @Option(help: ArgumentHelp("Windows of the evaluation, from the start of the text. (default: all)", valueName: "N"))
  var evalWindows: Int?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "Discard the output and exit with code 10 where KEY, one of > >= < <=, and a number hold: 'kld.mean > 0.02'; repeatable.",
      valueName: "GATE"))
  var failIf: [String] = []

  @Option(help: ArgumentHelp("Where the result document goes. (default: OUT.qconvert.json)", valueName: "FILE"))
  var report: String?

  @Flag(help: "Write no result document.")
  var noReport = false

  /// Where the result document goes, as a recipe would say it.
  var reportPlace: String? { noReport ? "none" : report }

  /// Everything that was typed, over what the recipe file says, over the defaults.
  /// - Throws: `Failure` of kind usage for an option, of kind config for the recipe file.
  func said() throws -> Recipe {
    var said = Recipe()
    if let recipe { try RecipeFile.read(recipe, into: &said) }
    for setting in Setting.all {
      if let content = setting.typed(self) { try setting.set(Entry(content, subject: setting.option), &said) }
    }
    return said
  }
}

/// Which activations methods observe.
enum StreamChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, original, quantized

  /// nil: as the methods ask.
  var value: Propagation? { Propagation(rawValue: rawValue) }
}
