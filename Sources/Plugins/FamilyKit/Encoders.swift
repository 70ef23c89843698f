public import QuantCore

/// What encoders have in common.
extension ConfigurationKeys {
  /// How the model's vector of a text is made, as the checkpoint states it: in `modules.json` and the folder that it names, or in a
  /// key of a GGUF. Nil if it states nothing.
  /// - Throws: `Failure` `model.pooling` for another way, or a file that cannot be read.
  public func pooling(_ tensors: Checkpoint) throws(Failure) -> HeadDescription.Pooling? {
    if isStored {
      // 0 and 4 leave it to a caller or to a classifier.
      return switch metadata("pooling_type")?.intValue {
      case 1: .mean
      case 2: .cls
      case 3: .last
      default: nil
      }
    }
    let folder = tensors.companionFolder ?? tensors.path
    let list = Files.join(folder, "modules.json")
    guard Files.exists(list) else { return nil }
    let module = try JSON.load(list).arrayValue?.first { $0["type"]?.stringValue?.hasSuffix("Pooling") == true }
    guard let path = module?["path"]?.stringValue, path.split(separator: "/").allSatisfy({ $0 != ".." }) else { return nil }
    let stated = try JSON.load(Files.join(Files.join(folder, path), "config.json"))
    if stated["pooling_mode_mean_tokens"]?.boolValue == true { return .mean }
    if stated["pooling_mode_cls_token"]?.boolValue == true { return .cls }
    if stated["pooling_mode_lasttoken"]?.boolValue == true { return .last }
    switch stated["pooling_mode"]?.stringValue {
    case "mean": return .mean
    case "cls": return .cls
    case "lasttoken": return .last
    default: throw unsupported("model.pooling", "only the mean, the first or the last token can be the vector of a text")
    }
  }
}

extension HeadDescription.Pooling {
  /// llama.cpp's number.
  public var number: Int {
    switch self {
    case .mean: 1
    case .cls: 2
    case .last: 3
    }
  }
}

extension GGUFKeys {
  /// That tokens see all others, and how a vector is made of a text; nil: this is left open.
  public mutating func setEncoder(_ pooling: HeadDescription.Pooling?, statesMask: Bool = true) {
    if statesMask { set("attention.causal", .bool(false)) }
    if let pooling { set("pooling_type", pooling.number) }
  }

  /// What the tokenizer puts around a text, unless its files say otherwise.
  public mutating func setAdded(_ tokens: String..., to value: Bool) {
    for token in tokens { setTokenizer("add_\(token)_token", .bool(value)) }
  }

  /// Rows of the table of token types.
  public mutating func setTokenTypes(_ count: Int) { setTokenizer("token_type_count", .u32(UInt32(clamping: count))) }
}
