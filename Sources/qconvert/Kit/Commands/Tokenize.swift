import ArgumentParser
import QuantCore

/// `qconvert tokenize MODEL --text FILE`: the token ids of a text, to compare tokenizers and to feed other programs.
struct Tokenize: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Print the token ids of a text.",
    discussion: "BOS and EOS are added by the tokenizer's own rule; --bos off leaves out BOS.")

  @Argument(help: ArgumentHelp("Model whose tokenizer is used, or a tokenizer file or folder.", valueName: "MODEL"))
  var model: String

  @Option(help: ArgumentHelp("Read the text to tokenize from FILE.", valueName: "FILE"))
  var text: String

  @OptionGroup var options: TokenizerOptions
  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let tokenizer = try load(Opening(registry))
    // `--bos on` without a BOS token is an error; without the option, the tokenizer's rule decides.
    _ = try options.beginOfSequence(tokenizer)
    let ids = tokenizer.encodeForModel(try Files.readText(text), addBOS: options.bos.value)
    try session.answer(
      .object([.init("ok", .bool(true)), .init("ids", .array(ids.map { .int($0) }))]),
      text: ids.map(String.init).joined(separator: " ") + "\n")
  }

  /// A folder or file with nothing but a tokenizer is enough.
  private func load(_ opening: Opening) throws -> any Tokenizer {
    let isTokenizer = [".json", ".model", ".tiktoken"].contains { model.hasSuffix($0) }
    let isBareFolder = Files.isFolder(model) && !Files.exists(Files.join(model, "config.json"))
    if isTokenizer || isBareFolder || options.tokenizer != nil {
      return try Tokenizers.load(path: options.tokenizer ?? model, preTokenizer: options.pre)
    }
    return try opening.tokenizer(for: opening.open(model), preTokenizer: options.pre)
  }
}
