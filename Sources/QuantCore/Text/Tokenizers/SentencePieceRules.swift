/// How SentencePiece text is prepared and joined again; tokenizer files differ only in this.
struct SentencePieceRules: Sendable, Equatable {
  /// `Metaspace` pre-tokenizer: spaces become `▁`, and the text may get one as its prefix.
  struct Metaspace: Sendable, Equatable {
    enum Prefix: Sendable, Equatable { case always, first, never }
    var prefix: Prefix
    /// Whether text is split before every `▁`, so that no token crosses one.
    var splits: Bool
  }

  var normalizers: [Normalizer]
  /// How text becomes words before that; none: it stays whole.
  var steps: [SplitPattern] = []
  var metaspace: Metaspace?
  /// Whether scores are added as 32-bit floats, as SentencePiece itself does, which decides between cuts that are equally good.
  var addsFloats = false
  /// Whether a run of unknown characters is one unknown token.
  var fusesUnknown = true
  /// Whether decoding drops the leading space that encoding added.
  var stripsLeadingSpace = true
  /// Whether the contents of added tokens are normalized like text.
  var normalizesAddedTokens = true

  /// `▁`, U+2581, which represents a space.
  static let space: [UInt8] = [0xe2, 0x96, 0x81]

  /// The rules of Llama 2: `▁` before each part of the text between added tokens, and in place of each space.
  static func llama(addsPrefix: Bool) -> SentencePieceRules {
    let escape = Normalizer.replace([0x20], space)
    return SentencePieceRules(
      normalizers: addsPrefix ? [.prepend(space), escape] : [escape], stripsLeadingSpace: addsPrefix)
  }

  /// The rules that a GGUF file stores for a unigram model. Where spaces are squeezed, one is before the text, too.
  static func unigram(_ data: TokenizerData) throws(Failure) -> SentencePieceRules {
    let squeezes = data.squeezesSpaces ?? false
    var rules = llama(addsPrefix: data.addsSpacePrefix ?? false || squeezes)
    if squeezes { rules.normalizers.insert(.squeezeSpaces, at: 0) }
    if !data.characterMap.isEmpty { rules.normalizers.insert(.map(try CharacterMap(data.characterMap), perCharacter: false), at: 0) }
    return rules
  }

  /// The text with `▁` for spaces, and one before it if it needs that.
  func escaped(_ bytes: [UInt8], isFirst: Bool) -> [UInt8] {
    guard let metaspace = metaspace else { return bytes }
    let bytes = Normalizer.replace([0x20], with: SentencePieceRules.space, in: bytes)
    let wantsPrefix = metaspace.prefix == .always || (metaspace.prefix == .first && isFirst)
    return wantsPrefix && !bytes.starts(with: SentencePieceRules.space) ? SentencePieceRules.space + bytes : bytes
  }

  /// Ranges that start at each `▁` that follows another character (or at every `▁`).
  static func cuts(of bytes: [UInt8], everySpace: Bool) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    var start = 0
    // End of the last `▁`.
    var spaceEnd = 0
    var index = 0
    while index < bytes.count {
      guard bytes[index] == 0xe2, bytes.count - index >= 3, bytes[index + 1] == 0x96, bytes[index + 2] == 0x81 else {
        index += 1
        continue
      }
      if index > start, everySpace || spaceEnd != index {
        ranges.append(start..<index)
        start = index
      }
      index += 3
      spaceEnd = index
    }
    if start < bytes.count { ranges.append(start..<bytes.count) }
    return ranges
  }
}
