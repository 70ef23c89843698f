import ArgumentParser
import QuantCore

/// What is written. Properties are nil or empty if nothing was typed.
struct OutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: ArgumentHelp("Write OUT in this format. (default: by extension)", valueName: "FORMAT"))
  var to: String?

  @Option(help: ArgumentHelp("Store quantized layers in this packing. (default: first that fits the scheme)", valueName: "NAME"))
  var packing: String?

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("Choose a packing that this client loads; refuse what it cannot load.", valueName: "CLIENT[@VERSION]"))
  var client: String?

  @Flag(
    inversion: .prefixedNo,
    help: "Write the towers for images and sound alone: the second GGUF (mmproj) of a model in llama.cpp.")
  var mmproj: Bool?

  @Option(
    help: ArgumentHelp(
      "In a GGUF made from a folder, what becomes of blocks that predict further tokens (MTP): kept, alone, none. (default: kept)",
      valueName: "CHOICE"))
  var mtp: PredictionsChoice?

  @Option(
    name: [.customLong("shard-size"), .customLong("split-max-size")],
    help: ArgumentHelp("Split OUT into files of at most this size: 5GB, 512MiB.", valueName: "SIZE"))
  var shardSize: String?

  @Flag(inversion: .prefixedNo, help: "Split OUT into files where IN is split.")
  var keepSplit: Bool?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Set metadata of a GGUF: 'general.name=str:My model'; repeatable.", valueName: "KEY=TYPE:VALUE"))
  var setMeta: [String] = []

  @Option(parsing: .singleValue, help: ArgumentHelp("Drop this key from a GGUF's metadata; repeatable.", valueName: "KEY"))
  var dropMeta: [String] = []

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Set metadata as in llama-quantize: types int, float, bool, str; repeatable.", valueName: "KEY=TYPE:VALUE"))
  var overrideKv: [String] = []

  @Flag(inversion: .prefixedNo, help: "Replace an existing output.")
  var force: Bool?

  @Flag(inversion: .prefixedNo, help: "Continue an unfinished run; keep finished work if this run does not finish.")
  var resume: Bool?

  @Option(help: ArgumentHelp("Write the result document to FILE. (default: OUT.qconvert.json)", valueName: "FILE"))
  var report: String?

  @Flag(help: "Write no result document.")
  var noReport = false

  /// Where the result document goes, as it is written in a recipe.
  var reportPlace: String? { noReport ? "none" : report }

  /// All metadata to set.
  var metadataValues: [String] { setMeta + overrideKv.map { OutputOptions.metadata(overriding: $0) } }

  /// An override of llama-quantize in qconvert's types. It stores whole numbers as unsigned 32-bit, without their sign.
  private static func metadata(overriding text: String) -> String {
    guard let equals = text.firstIndex(of: "=") else { return text }
    let key = text[...equals], typed = text[equals...].dropFirst()
    if typed.hasPrefix("float:") { return key + "f32:" + typed.dropFirst("float:".count) }
    guard typed.hasPrefix("int:") else { return text }
    let value = typed.dropFirst("int:".count)
    return key + "u32:" + (value.hasPrefix("-") ? value.dropFirst() : value)
  }

  /// - Throws: `ValidationError` for options that contradict each other.
  func validate() throws {
    guard !noReport || report == nil else { throw ValidationError("--no-report and --report cannot be combined") }
  }
}
