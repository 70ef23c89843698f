import ArgumentParser

/// What is read. Properties are nil or empty if nothing was typed.
struct InputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: ArgumentHelp("Read IN as this format. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(help: ArgumentHelp("Read this config.json instead of the one beside IN.", valueName: "FILE"))
  var config: String?

  @Option(help: ArgumentHelp("Read the tokenizer from this file or folder, not from IN.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name the pre-tokenizer if it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Option(
    parsing: .singleValue,
    help: ArgumentHelp("Merge a LoRA adapter into the weights, scaled by FACTOR; repeatable.", valueName: "PATH[:FACTOR]"))
  var lora: [String] = []

  @Option(help: ArgumentHelp("Name the base model of the adapter IN; needed if OUT's format differs.", valueName: "PATH"))
  var base: String?

  @Option(parsing: .singleValue, help: ArgumentHelp("Leave out these tensors of IN; repeatable.", valueName: "PATTERN"))
  var drop: [String] = []

  @Option(
    name: [.customLong("drop-blocks"), .customLong("prune-layers")],
    help: ArgumentHelp("Drop these blocks; later blocks are renumbered.", valueName: "N,N,..."))
  var dropBlocks: String?
}
