import ArgumentParser
import QuantCore

/// How `analyze` and `calibrate` read the model that they run.
struct SourceOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: ArgumentHelp("Read MODEL as this format. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Option(help: ArgumentHelp("Read this config.json instead of the one beside MODEL.", valueName: "FILE"))
  var config: String?

  @Option(help: ArgumentHelp("Read the tokenizer from this file or folder, not from MODEL.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name the pre-tokenizer if it is not recognised.", valueName: "NAME"))
  var pre: String?

  func apply(to request: inout ConversionRequest) {
    request.fromFormat = from
    request.configPath = config
    request.tokenizerPath = tokenizer
    request.preTokenizer = pre
  }
}
