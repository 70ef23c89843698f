import ArgumentParser
import QuantCore

/// How commands turn text into tokens.
struct TokenizerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Tokenizer file or folder instead of the model's own.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name of the pre-tokenizer, where it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Option(help: ArgumentHelp("Begin the text with BOS; auto: as the tokenizer's rule says.", valueName: "WHEN"))
  var bos = BOSChoice.auto

  /// The BOS token to put in front, or nil.
  /// - Throws: `Failure` of kind usage where it is asked for and the tokenizer has none.
  func beginOfSequence(_ tokenizer: any Tokenizer) throws(Failure) -> Int? {
    try TokenizerOptions.beginOfSequence(tokenizer, asked: bos.value)
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
