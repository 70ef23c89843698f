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

  @Option(parsing: .singleValue, help: ArgumentHelp("Tensors that stay as they are stored; repeatable.", valueName: "PATTERN"))
  var keep: [String] = []

  @Option(
    name: [.customLong("output-scheme"), .customLong("output-tensor-type")],
    help: ArgumentHelp("Scheme of the output matrix, or keep.", valueName: "NAME"))
  var outputScheme: String?

  @Flag(help: "The same as --output-scheme keep.")
  var leaveOutputTensor = false

  @Option(
    name: [.customLong("embedding-scheme"), .customLong("token-embedding-type")],
    help: ArgumentHelp("Scheme of the embedding, or keep.", valueName: "NAME"))
  var embeddingScheme: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp(
      "As llama-quantize reads it: a regex in small letters is searched for, the first match wins; repeatable.",
      valueName: "REGEX=SCHEME"))
  var tensorType: [String] = []

  @Option(help: ArgumentHelp("More of these, separated by spaces or lines.", valueName: "FILE"))
  var tensorTypeFile: String?

  @Option(help: ArgumentHelp("Packing of quantized layers. (default: the first that holds the scheme)", valueName: "NAME"))
  var packing: String?

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("Program that is to load OUT: picks the packing, and refuses what it would refuse.", valueName: "CLIENT[@VERSION]"))
  var client: String?

  @Option(help: ArgumentHelp("How inputs of quantized layers are rounded, or none. (default: the preset's)", valueName: "NAME"))
  var activations: String?

  @Option(help: ArgumentHelp("Type of cached keys and values, with stored scales: fp8.", valueName: "TYPE"))
  var kvCache: String?

  @Option(
    help: ArgumentHelp(
      "Range of stored activation scales: minmax, percentile[:P], entropy, mse. (default: mse for integers, minmax for fp8)",
      valueName: "NAME"))
  var calibrator: String?

  @Flag(inversion: .prefixedNo, help: "Use the scheme for every tensor that may be quantized, without a preset's mix.")
  var pure: Bool?

  @Option(
    name: [.customLong("drop-blocks"), .customLong("prune-layers")],
    help: ArgumentHelp("Blocks that OUT is not to have; those behind move up.", valueName: "N,N,..."))
  var dropBlocks: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("LoRA adapter to merge into the weights first, with a factor on its scale; repeatable.", valueName: "PATH[:FACTOR]"))
  var lora: [String] = []

  @Option(help: ArgumentHelp("Model that the adapter IN was made for, where OUT is another kind of file.", valueName: "PATH"))
  var base: String?

  @Option(
    help: ArgumentHelp("Search for the parameters of GGUF blocks: standard (llama.cpp's bytes, the default), or best.", valueName: "NAME"))
  var search: SearchChoice?

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of IN. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of OUT. (default: by extension)", valueName: "FORMAT"))
  var to: String?

  @Flag(inversion: .prefixedNo, help: "Replace an existing output.")
  var force: Bool?

  @Flag(inversion: .prefixedNo, help: "Continue a run that did not finish; keep what is done where this one does not.")
  var resume: Bool?

  @OptionGroup var text: CalibrationOptions

  @Option(help: ArgumentHelp("Statistics that calibrate collected, instead of running the model.", valueName: "FILE"))
  var stats: String?

  @Option(
    name: [.customLong("importance"), .customLong("imatrix")],
    help: ArgumentHelp("Importance matrix that weighs errors: of llama-imatrix or calibrate.", valueName: "FILE"))
  var importance: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Use the importance of tensors with this in their names alone; repeatable.", valueName: "NAME"))
  var includeWeights: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Use no importance for tensors with this in their names; repeatable.", valueName: "NAME"))
  var excludeWeights: [String] = []

  @Option(help: ArgumentHelp("Activations that methods observe; auto, the default: as they ask.", valueName: "STREAM"))
  var propagate: StreamChoice?

  @Option(help: ArgumentHelp("Products on calibration text: f32 (the default), or bf16 where the processor has them.", valueName: "TYPE"))
  var products: ProductsChoice?

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

  @Option(
    name: [.customLong("shard-size"), .customLong("split-max-size")],
    help: ArgumentHelp("Largest file of a split output: 5GB, 512MiB.", valueName: "SIZE"))
  var shardSize: String?

  @Flag(inversion: .prefixedNo, help: "Cut the output into files where IN is.")
  var keepSplit: Bool?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Metadata of a GGUF: 'general.name=str:My model'; repeatable.", valueName: "KEY=TYPE:VALUE"))
  var setMeta: [String] = []

  @Option(parsing: .singleValue, help: ArgumentHelp("Metadata that a GGUF is not to have; repeatable.", valueName: "KEY"))
  var dropMeta: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("As llama-quantize reads it: the types are int, float, bool and str; repeatable.", valueName: "KEY=TYPE:VALUE"))
  var overrideKv: [String] = []

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

  /// What stands for the output matrix.
  var outputChoice: String? { leaveOutputTensor ? Planner.keepName : outputScheme }

  /// All metadata that is to be set.
  var metadataValues: [String] { setMeta + overrideKv.map { ConversionOptions.metadata(overriding: $0) } }

  /// A pair of llama-quantize in this program's types: whole numbers are stored there in 32 bits without their sign.
  private static func metadata(overriding text: String) -> String {
    guard let equals = text.firstIndex(of: "=") else { return text }
    let key = text[...equals], typed = text[equals...].dropFirst()
    if typed.hasPrefix("float:") { return key + "f32:" + typed.dropFirst("float:".count) }
    guard typed.hasPrefix("int:") else { return text }
    let value = typed.dropFirst("int:".count)
    return key + "u32:" + (value.hasPrefix("-") ? value.dropFirst() : value)
  }

  /// Everything that was typed, over what the recipe file says, over the defaults.
  /// - Throws: `Failure` of kind usage for an option, of kind config for the recipe file.
  func said() throws -> Recipe {
    var said = Recipe()
    if let recipe { try RecipeFile.read(recipe, into: &said) }
    for setting in Setting.all {
      if let content = setting.typed(self) { try setting.set(Entry(content, subject: setting.option), &said) }
    }
    if let tensorTypeFile { said.conversion.tensorTypes += try Files.readText(tensorTypeFile).split { $0.isWhitespace }.map { String($0) } }
    return said
  }
}

/// How products on calibration text are rounded.
enum ProductsChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case f32, bf16

  var value: ProductPrecision { self == .bf16 ? .bf16 : .f32 }
}

/// How widely blocks are searched.
enum SearchChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case standard, best

  var value: SearchEffort { self == .best ? .best : .standard }
}

/// Which activations methods observe.
enum StreamChoice: String, ExpressibleByArgument, CaseIterable, Sendable {
  case auto, original, quantized

  /// nil: as the methods ask.
  var value: Propagation? { Propagation(rawValue: rawValue) }
}
