import ArgumentParser
import QuantCore

/// How `eval` and `generate` find what belongs to a model.
struct ModelOptions: ParsableArguments {
  @Option(help: ArgumentHelp("A config.json instead of the one beside the model.", valueName: "FILE"))
  var config: String?

  @Option(help: ArgumentHelp("Tokenizer file or folder instead of the model's own.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name of the pre-tokenizer, where it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Option(help: ArgumentHelp("Begin the text with BOS; auto: as the tokenizer's rule says.", valueName: "WHEN"))
  var bos = BOSChoice.auto

  /// A model ready to run, with its tokenizer.
  func open(
    _ path: String, registry: Registry, threads: Int
  ) throws -> (checkpoint: Checkpoint, engine: Engine, tokenizer: any Tokenizer) {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path, configPath: config, tokenizerPath: tokenizer)
    let engine = try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: threads))
    return (checkpoint, engine, try opening.tokenizer(for: checkpoint, path: tokenizer, preTokenizer: pre))
  }

  /// The BOS token to put in front, or nil.
  /// - Throws: `Failure` of kind usage where it is asked for and the tokenizer has none.
  func beginOfSequence(_ tokenizer: any Tokenizer) throws(Failure) -> Int? {
    try ModelOptions.beginOfSequence(tokenizer, asked: bos.value)
  }

  /// The same for any way of asking; nil: as the tokenizer's rule says.
  static func beginOfSequence(_ tokenizer: any Tokenizer, asked: Bool?) throws(Failure) -> Int? {
    guard asked ?? (tokenizer.data.addsBOS ?? false) else { return nil }
    let id = tokenizer.data.special["bos"]
    if id == nil, asked == true {
      throw Failure(.usage, "usage.bos", "the tokenizer has no BOS token", remedy: "Leave --bos out.")
    }
    return id
  }
}
