/// Turns text into token ids and back.
public protocol Tokenizer: Sendable {
  /// Ids of `text`. Special tokens in the text are recognized; none are added.
  func encode(_ text: String) -> [Int]
  /// Text of `ids`, special tokens included, with no clean-up of spaces.
  func decode(_ ids: [Int]) -> String
  /// The bytes of one token, for streaming output (a token may end inside a character).
  func bytes(of id: Int) -> [UInt8]
  /// The tokenizer as data, as formats store it.
  var data: TokenizerData { get }
}

/// A tokenizer as data: what formats store, and what a `Tokenizer` is made from.
public struct TokenizerData: Sendable, Equatable {
  /// How text becomes tokens.
  public enum Kind: String, Sendable, CaseIterable {
    /// Byte-level BPE (GGUF: `gpt2`).
    case byteLevelBPE
    /// SentencePiece BPE with scores and byte fallback (GGUF: `llama`).
    case sentencePieceBPE
    /// WordPiece with `##` before continuations (GGUF: `bert`).
    case wordPiece
    /// SentencePiece unigram with scores (GGUF: `t5`).
    case unigram

    /// Whether `▁` represents a space, and tokens have scores.
    public var isSentencePiece: Bool { self == .sentencePieceBPE || self == .unigram }
  }

  /// Raw values are those that GGUF stores.
  public enum TokenType: Int32, Sendable {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  /// How text becomes tokens.
  public var kind: Kind
  /// llama.cpp's name for the pre-tokenizer (`gpt-2`, `llama-bpe`, `qwen2`, `default`), or nil if the pattern is known but
  /// has no name there.
  public var preTokenizer: String?
  /// Token texts by id, as stored (byte-level characters for BPE, `▁` for SentencePiece).
  public var tokens: [String]
  /// SentencePiece scores; empty for byte-level BPE.
  public var scores: [Float]
  /// What each token is, by id.
  public var types: [TokenType]
  /// `left right`, in rank order; empty for SentencePiece models, whose scores say which tokens merge.
  public var merges: [String]
  /// How many tokens the model itself has, without those that files add; nil: all.
  public var ownCount: Int?
  /// Ids that files name as special, by whatever name.
  public var namedSpecial: Set<Int>
  /// Whether a word that is a token becomes that token, regardless of the merges.
  public var ignoreMerges: Bool
  /// Special token ids by their GGUF name: `bos`, `eos`, `unknown`, `seperator` (sic), `padding`, `cls`, `mask`, `eot`, …
  public var special: [String: Int]
  /// How many tokens the tokenizer's files list; those after them are only named by a configuration, which may do so in vain. Nil: all.
  public var listedCount: Int?
  /// Ids at which generation stops according to the files, besides those in `special`.
  public var ends: [Int]
  /// Whether BOS is added at the start; nil if the files do not say.
  public var addsBOS: Bool?
  /// Whether EOS is added at the end; nil if the files do not say.
  public var addsEOS: Bool?
  /// Whether a separator is added between the texts of a pair; nil if the files do not say.
  public var addsSeparator: Bool?
  /// Whether SentencePiece adds a space before the text.
  public var addsSpacePrefix: Bool?
  /// Whether letters become lower case; nil if the files do not say.
  public var lowercases: Bool?
  /// Whether accents are removed; nil if the files do not say.
  public var stripsAccents: Bool?
  /// Whether SentencePiece reduces runs of spaces to one and removes those at the ends; nil if the files do not say.
  public var squeezesSpaces: Bool?
  /// SentencePiece's map of characters, as its models store it; empty if there is none.
  public var characterMap: [UInt8]
  /// Ids that a `tokenizer.json` puts before and after a text; nil if it has no such rule.
  public var template: Template?
  /// Jinja template, copied verbatim.
  public var chatTemplate: String?

  /// Ids around a text.
  public struct Template: Sendable, Equatable {
    public var front: [Int]
    public var back: [Int]

    public init(front: [Int], back: [Int]) {
      self.front = front
      self.back = back
    }
  }

  public init(kind: Kind, tokens: [String]) {
    self.kind = kind
    self.tokens = tokens
    preTokenizer = nil
    scores = []
    types = []
    merges = []
    ownCount = nil
    listedCount = nil
    namedSpecial = []
    ignoreMerges = false
    special = [:]
    ends = []
    addsBOS = nil
    addsEOS = nil
    addsSeparator = nil
    addsSpacePrefix = nil
    lowercases = nil
    stripsAccents = nil
    squeezesSpaces = nil
    characterMap = []
    template = nil
    chatTemplate = nil
  }
}
