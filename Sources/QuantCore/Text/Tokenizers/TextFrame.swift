extension TokenizerData {
  /// What is put before and after a text that a model reads as a whole: `[CLS]` and `[SEP]` for BERT.
  /// - Parameter begins: overrides the tokenizer's own rule for the front; nil: follows it.
  public func frame(begins: Bool? = nil) -> Template {
    var frame = around
    guard let begins, begins == frame.front.isEmpty else { return frame }
    frame.front = begins ? (special["bos"] ?? special["cls"]).map { [$0] } ?? [] : []
    return frame
  }
}

extension TokenizerData.Template {
  /// Number of tokens that it adds.
  public var count: Int { front.count + back.count }

  /// The tokens of a text between those of the frame.
  public func around(_ tokens: some Sequence<Int>) -> [Int] { front + tokens + back }
}
