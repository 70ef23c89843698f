/// The section `pre_tokenizer`: how text becomes words.
extension TokenizerJSON {
  /// - Returns: whether the tokenizer is byte-level.
  mutating func readPreTokenizer(_ section: JSON, named name: String?) throws(Failure) -> Bool {
    var isByteLevel = false
    let parts = TokenizerJSON.type(section) == "Sequence" ? section["pretokenizers"]?.arrayValue ?? [] : [section]
    for (position, part) in parts.enumerated() where !part.isNull {
      let type = TokenizerJSON.type(part)
      if type == "ByteLevel" {
        isByteLevel = true
        if part["add_prefix_space"]?.boolValue == true {
          // After a split it would add a space before every part.
          guard position == 0 else { throw TokenizerJSON.unsupported("pre-tokenizer", "ByteLevel with add_prefix_space") }
          preTokenizer.prependsSpace = true
        }
        if name == nil, part["use_regex"]?.boolValue ?? true { preTokenizer.steps.append(.gpt2) }
      } else if type == "Metaspace" {
        try readMetaspace(part)
      } else if name == nil {
        let steps = try TokenizerJSON.steps(part)
        if isByteLevel { preTokenizer.spelledSteps += steps } else { preTokenizer.steps += steps }
      }
    }
    if let name {
      let known = try KnownPreTokenizers.find(name)
      preTokenizer.steps = known.steps
      preTokenizer.spelledSteps = known.spelledSteps
    }
    return isByteLevel
  }

  private static func steps(_ part: JSON) throws(Failure) -> [SplitPattern] {
    switch type(part) {
    case "Split":
      guard part["behavior"]?.stringValue == "Isolated", part["invert"]?.boolValue != true,
        let pattern = part["pattern"]?["Regex"]?.stringValue
      else { throw unsupported("pre-tokenizer", "Split with behaviour \(part["behavior"]?.stringValue ?? "?")") }
      return [try KnownPreTokenizers.pattern(pattern)]
    case "BertPreTokenizer": return [.whiteSpace, .punctuation(runs: false)]
    case "WhitespaceSplit": return [.whiteSpace]
    case "Digits": return [.numbers(maximum: part["individual_digits"]?.boolValue == true ? 1 : .max)]
    case "Punctuation":
      let behavior = part["behavior"]?.stringValue ?? "Isolated"
      guard behavior == "Isolated" || behavior == "Contiguous" else {
        throw unsupported("pre-tokenizer", "Punctuation with behaviour \(behavior)")
      }
      return [.punctuation(runs: behavior == "Contiguous")]
    case let other: throw unsupported("pre-tokenizer", other)
    }
  }

  private mutating func readMetaspace(_ part: JSON) throws(Failure) {
    let replacement = part["replacement"]?.stringValue ?? "\u{2581}"
    guard replacement == "\u{2581}" else { throw TokenizerJSON.unsupported("Metaspace replacement", replacement) }
    let prefix: SentencePieceRules.Metaspace.Prefix =
      switch part["prepend_scheme"]?.stringValue {
      case "first": .first
      case "never": .never
      default: part["add_prefix_space"]?.boolValue == false ? .never : .always
      }
    metaspace = SentencePieceRules.Metaspace(prefix: prefix, splits: part["split"]?.boolValue ?? true)
  }
}
