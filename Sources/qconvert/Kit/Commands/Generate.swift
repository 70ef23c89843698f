import ArgumentParser
import QuantCore

/// `qconvert generate MODEL --prompt TEXT`: continues a text, to see whether a converted model still works.
struct Generate: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Continue a prompt with the most likely tokens.",
    discussion: "Tokens are written to standard output as they are generated; the prompt is not repeated.")

  @Argument(help: ArgumentHelp("Model to run.", valueName: "MODEL"))
  var model: String

  @Option(help: ArgumentHelp("Continue this text.", valueName: "TEXT"))
  var prompt: String

  @Option(help: ArgumentHelp("Generate at most N tokens.", valueName: "N"))
  var tokens = 64

  @OptionGroup var options: ModelOptions
  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let limit = try WholeNumber.check(tokens, "--tokens", in: 1...1_048_576)
    let (checkpoint, engine, tokenizer) = try options.open(model, registry: registry, threads: global.threadCount())
    session.warn(about: checkpoint)
    var ids = tokenizer.encode(prompt)
    if let first = try options.text.beginOfSequence(tokenizer) { ids.insert(first, at: 0) }
    var generator = Generator(engine)
    var problem: (any Error)?
    let generated = try generator.generate(prompt: ids, limit: limit, stop: tokenizer.data.endIDs) { id in
      guard !session.isJSON, problem == nil else { return }
      do {
        try session.console.data(Generate.shown(tokenizer.bytes(of: id), onTerminal: session.console.facts.outputIsTerminal))
      } catch {
        problem = error
      }
    }
    if let problem { throw problem }
    if session.isJSON {
      let text = String(decoding: generated.flatMap { tokenizer.bytes(of: $0) }, as: UTF8.self)
      try session.answer(
        .object([
          .init("ok", .bool(true)), .init("prompt_tokens", .int(ids.count)), .init("tokens", .int(generated.count)),
          .init("text", .string(text)),
        ]), text: "")
    } else {
      try session.console.data("\n")
    }
  }

  /// The bytes of a token; on a terminal, without control characters other than line feed and tab, because a model must not
  /// move the cursor. A token may end inside a character, so this works on bytes.
  static func shown(_ bytes: [UInt8], onTerminal: Bool) -> [UInt8] {
    onTerminal ? bytes.filter { $0 >= 0x20 && $0 != 0x7f || $0 == 0x0a || $0 == 0x09 } : bytes
  }
}
