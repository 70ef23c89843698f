/// The fields of a `tokenizer.model` that encoding needs (sentencepiece_model.proto, a protocol buffer).
struct SentencePieceModel {
  var data: TokenizerData
  var addsPrefix = true
  var squeezesSpaces = true
  private var modelType: UInt64 = 1
  private var hasTrainer = false
  private var escapesSpaces = true
  private var spaceIsSuffix = false
  private var specialIDs: [String: Int64] = ["unknown": 0, "bos": 1, "eos": 2, "padding": -1]

  /// - Throws: `Failure` `tokenizer.protobuf` for malformed bytes, `tokenizer.model-type` for models that are neither BPE nor unigram,
  ///   `tokenizer.normalizer` for those that treat spaces in another way.
  init(_ bytes: [UInt8]) throws(Failure) {
    data = TokenizerData(kind: .sentencePieceBPE, tokens: [])
    var message = ProtobufReader(bytes[...])
    while let (field, value) = try message.next() {
      switch (field, value) {
      case (1, .bytes(let piece)): try readPiece(piece)
      case (2, .bytes(let trainer)): try readTrainer(trainer)
      case (3, .bytes(let normalizer)): try readNormalizer(normalizer)
      default: break
      }
    }
    guard !data.tokens.isEmpty else { throw ProtobufReader.malformed("it has no pieces", at: 0) }
    guard hasTrainer else { throw ProtobufReader.malformed("it has no settings of its trainer", at: bytes.count) }
    switch modelType {
    case 1: data.kind = .unigram
    case 2: data.kind = .sentencePieceBPE
    default:
      throw Failure(
        .unsupported, "tokenizer.model-type", "only BPE and unigram models are supported, and this one has the type \(modelType)",
        remedy: "Use another tokenizer. The types are 1 unigram, 2 BPE, 3 word, 4 character.")
    }
    guard escapesSpaces, !spaceIsSuffix else {
      throw Failure(.unsupported, "tokenizer.normalizer", "the model treats spaces in a way that is not supported")
    }
    for (name, id) in specialIDs {
      if let id = Int(exactly: id), data.tokens.indices.contains(id) { data.special[name] = id }
    }
    if !addsPrefix || data.kind == .unigram { data.addsSpacePrefix = addsPrefix }
    if data.kind == .unigram { data.squeezesSpaces = squeezesSpaces }
  }

  /// How text is prepared.
  func rules() throws(Failure) -> SentencePieceRules {
    var rules = SentencePieceRules.llama(addsPrefix: addsPrefix)
    if squeezesSpaces { rules.normalizers.insert(.squeezeSpaces, at: 0) }
    if !data.characterMap.isEmpty { rules.normalizers.insert(.map(try CharacterMap(data.characterMap), perCharacter: false), at: 0) }
    // Pieces that the model itself calls user-defined are matched in normalized text.
    rules.normalizesAddedTokens = false
    rules.addsFloats = true
    return rules
  }

  /// Renumbers the pieces as XLM-R does: its four special tokens come first, and the mask last.
  mutating func renumberForXLMR() {
    let rest = 3..<max(3, data.tokens.count)
    data.tokens = ["<s>", "<pad>", "</s>", "<unk>"] + (data.tokens.count > 3 ? data.tokens[rest] : []) + ["<mask>"]
    data.scores = [0, 0, 0, 0] + (data.scores.count > 3 ? data.scores[rest] : []) + [0]
    data.types = [.control, .control, .control, .unknown] + (data.types.count > 3 ? data.types[rest] : []) + [.control]
    data.special = ["bos": 0, "padding": 1, "eos": 2, "unknown": 3, "cls": 0, "seperator": 2, "mask": data.tokens.count - 1]
    (data.addsBOS, data.addsEOS) = (true, true)
  }

  private mutating func readPiece(_ bytes: ArraySlice<UInt8>) throws(Failure) {
    var text: String?
    var score: Float = 0
    var type = TokenizerData.TokenType.normal
    var message = ProtobufReader(bytes)
    while let (field, value) = try message.next() {
      switch (field, value) {
      case (1, .bytes(let utf8)): text = String(validating: utf8, as: UTF8.self)
      case (2, .fixed32(let bits)): score = Float(bitPattern: bits)
      case (3, .varint(let number)):
        guard let known = Int32(exactly: number).flatMap(TokenizerData.TokenType.init) else {
          throw ProtobufReader.malformed("a piece has the type \(number)", at: bytes.startIndex)
        }
        type = known
      default: break
      }
    }
    guard let text else { throw ProtobufReader.malformed("a piece has no valid text", at: bytes.startIndex) }
    data.tokens.append(text)
    data.scores.append(score)
    data.types.append(type)
  }

  private mutating func readTrainer(_ bytes: ArraySlice<UInt8>) throws(Failure) {
    hasTrainer = true
    let names = [40: "unknown", 41: "bos", 42: "eos", 43: "padding"]
    var message = ProtobufReader(bytes)
    while let (field, value) = try message.next() {
      guard case .varint(let number) = value else { continue }
      switch field {
      case 3: modelType = number
      case 24: spaceIsSuffix = number != 0
      default: if let name = names[field] { specialIDs[name] = Int64(bitPattern: number) }
      }
    }
  }

  private mutating func readNormalizer(_ bytes: ArraySlice<UInt8>) throws(Failure) {
    var message = ProtobufReader(bytes)
    while let (field, value) = try message.next() {
      switch (field, value) {
      case (2, .bytes(let map)): data.characterMap = Array(map)
      case (3, .varint(let number)): addsPrefix = number != 0
      case (4, .varint(let number)): squeezesSpaces = number != 0
      case (5, .varint(let number)): escapesSpaces = number != 0
      default: break
      }
    }
  }
}

/// Reads the fields of one protocol buffer message. Every length is checked against the remaining bytes.
struct ProtobufReader {
  enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    case bytes(ArraySlice<UInt8>)
  }

  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  static func malformed(_ what: String, at offset: Int) -> Failure {
    Failure(
      .data, "tokenizer.protobuf", "is not a SentencePiece model: \(what)", byteOffset: offset,
      remedy: "Check that the file was downloaded completely.")
  }

  /// The next field, or nil at the end.
  mutating func next() throws(Failure) -> (field: Int, value: Value)? {
    if rest.isEmpty { return nil }
    let tag = try varint()
    guard let field = Int(exactly: tag >> 3), field > 0 else { throw Self.malformed("a field has the number 0", at: rest.startIndex) }
    switch tag & 7 {
    case 0: return (field, .varint(try varint()))
    case 1: return (field, .fixed64(try take(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }))
    case 2: return (field, .bytes(try take(try varint())))
    case 5: return (field, .fixed32(try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }))
    default: throw Self.malformed("a field has the wire type \(tag & 7)", at: rest.startIndex)
    }
  }

  private mutating func varint() throws(Failure) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard let byte = rest.popFirst() else { throw Self.malformed("it ends inside a number", at: rest.endIndex) }
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw Self.malformed("a number has more than ten bytes", at: rest.startIndex)
  }

  private mutating func take(_ count: UInt64) throws(Failure) -> ArraySlice<UInt8> {
    guard let count = Int(exactly: count), count <= rest.count else {
      throw Self.malformed("a field is longer than the file", at: rest.startIndex)
    }
    defer { rest = rest.dropFirst(count) }
    return rest.prefix(count)
  }
}
