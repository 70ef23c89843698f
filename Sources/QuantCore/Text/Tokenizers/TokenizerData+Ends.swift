/// Where generation stops.
extension TokenizerData {
  /// Ids of all tokens that end a text or a turn: those that the files name and, if they name none besides EOS, those whose text says so.
  public var endIDs: Set<Int> {
    var result = Set(["eos", "eot", "eom"].compactMap { special[$0] }).union(ends)
    guard ends.isEmpty else { return result }
    for id in types.indices where types[id] == .control && TokenizerData.endTexts.contains(tokens[id]) { result.insert(id) }
    return result
  }

  /// Texts that llama.cpp takes as the end of a turn in any file.
  private static let endTexts: Set<String> = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>", "<|endoftext|>", "</s>",
    "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>", "[e~[",
  ]
}
