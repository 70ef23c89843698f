import ArgumentParser

/// What is read. Properties are nil or empty where nothing was typed.
struct InputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: ArgumentHelp("Format of IN. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(help: ArgumentHelp("A config.json instead of the one beside IN.", valueName: "FILE"))
  var config: String?

  @Option(help: ArgumentHelp("Tokenizer file or folder instead of IN's own.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name of the pre-tokenizer, where it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("LoRA adapter to merge into the weights first, with a factor on its scale; repeatable.", valueName: "PATH[:FACTOR]"))
  var lora: [String] = []

  @Option(help: ArgumentHelp("Model that the adapter IN was made for, where OUT is another kind of file.", valueName: "PATH"))
  var base: String?

  @Option(
    name: [.customLong("drop-blocks"), .customLong("prune-layers")],
    help: ArgumentHelp("Blocks that OUT is not to have; those behind move up.", valueName: "N,N,..."))
  var dropBlocks: String?
}
