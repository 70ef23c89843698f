import ArgumentParser
import QuantCore

/// How `eval` and `generate` find what belongs to a model.
struct ModelOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Read this config.json instead of the one beside the model.", valueName: "FILE"))
  var config: String?

  @OptionGroup var adapters: AdapterOptions
  @OptionGroup var text: TokenizerOptions

  /// A model ready to run, with its tokenizer.
  func open(
    _ path: String, registry: Registry, threads: Int
  ) throws -> (checkpoint: Checkpoint, engine: Engine, tokenizer: any Tokenizer) {
    let opening = Opening(registry)
    let checkpoint = try adapters.applied(to: opening.open(path, configPath: config, tokenizerPath: text.tokenizer), opening)
    let engine = try Engine(
      checkpoint, model: opening.describe(checkpoint).givingLogits(file: checkpoint.path), parallel: Parallel(threads: threads))
    return (checkpoint, engine, try opening.tokenizer(for: checkpoint, path: text.tokenizer, preTokenizer: text.pre))
  }
}
