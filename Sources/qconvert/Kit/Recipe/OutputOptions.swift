import ArgumentParser
import QuantCore

/// What is written. Properties are nil or empty where nothing was typed.
struct OutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: ArgumentHelp("Format of OUT. (default: by extension)", valueName: "FORMAT"))
  var to: String?

  @Option(help: ArgumentHelp("Packing of quantized layers. (default: the first that holds the scheme)", valueName: "NAME"))
  var packing: String?

  @Option(
    name: .customLong("for"),
    help: ArgumentHelp("Program that is to load OUT: picks the packing, and refuses what it would refuse.", valueName: "CLIENT[@VERSION]"))
  var client: String?

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

  @Flag(inversion: .prefixedNo, help: "Replace an existing output.")
  var force: Bool?

  @Flag(inversion: .prefixedNo, help: "Continue a run that did not finish; keep what is done where this one does not.")
  var resume: Bool?

  @Option(help: ArgumentHelp("Where the result document goes. (default: OUT.qconvert.json)", valueName: "FILE"))
  var report: String?

  @Flag(help: "Write no result document.")
  var noReport = false

  /// Where the result document goes, as a recipe would say it.
  var reportPlace: String? { noReport ? "none" : report }

  /// All metadata that is to be set.
  var metadataValues: [String] { setMeta + overrideKv.map { OutputOptions.metadata(overriding: $0) } }

  /// A pair of llama-quantize in this program's types: whole numbers are stored there in 32 bits without their sign.
  private static func metadata(overriding text: String) -> String {
    guard let equals = text.firstIndex(of: "=") else { return text }
    let key = text[...equals], typed = text[equals...].dropFirst()
    if typed.hasPrefix("float:") { return key + "f32:" + typed.dropFirst("float:".count) }
    guard typed.hasPrefix("int:") else { return text }
    let value = typed.dropFirst("int:".count)
    return key + "u32:" + (value.hasPrefix("-") ? value.dropFirst() : value)
  }

  /// - Throws: `ValidationError` for options of which one says the opposite of the other.
  func validate() throws {
    guard !noReport || report == nil else { throw ValidationError("--no-report and --report exclude each other") }
  }
}
