import ArgumentParser
import QuantCore

/// How commands turn text into tokens.
struct TokenizerOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Read the tokenizer from this file or folder, not from the model.", valueName: "PATH"))
  var tokenizer: String?

  @Option(help: ArgumentHelp("Name the pre-tokenizer if it is not recognised.", valueName: "NAME"))
  var pre: String?

  @Option(help: ArgumentHelp("Begin the text with BOS; auto follows the tokenizer's rule.", valueName: "WHEN"))
  var bos = BOSChoice.auto

  /// The BOS token to prepend, or nil.
  /// - Throws: `Failure` of kind usage if it is requested and the tokenizer has none.
  func beginOfSequence(_ tokenizer: any Tokenizer) throws(Failure) -> Int? {
    try TokenizerOptions.beginOfSequence(tokenizer, asked: bos.value)
  }

  /// The same for an explicit choice; nil: the tokenizer's rule decides.
  static func beginOfSequence(_ tokenizer: any Tokenizer, asked: Bool?) throws(Failure) -> Int? {
    guard asked ?? (tokenizer.data.addsBOS ?? false) else { return nil }
    let id = tokenizer.data.special["bos"]
    if id == nil, asked == true {
      throw Failure(.usage, "usage.bos", "the tokenizer has no BOS token", remedy: "Leave out --bos.")
    }
    return id
  }
}
