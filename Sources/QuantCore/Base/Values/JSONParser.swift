extension JSON {
  /// What a parser accepts.
  public struct ParseOptions: Sendable {
    /// Whether `NaN`, `Infinity` and `-Infinity` are accepted as numbers, as Python writes them.
    public var allowsNonFiniteNumbers: Bool
    /// Levels of nested objects and arrays.
    public var maximumDepth: Int
    /// Size of the whole text in bytes.
    public var maximumBytes: Int
    /// Keys in one object.
    public var maximumMembers: Int

    /// Limits for one kind of text.
    public init(allowsNonFiniteNumbers: Bool, maximumDepth: Int, maximumBytes: Int, maximumMembers: Int = 10_000_000) {
      self.allowsNonFiniteNumbers = allowsNonFiniteNumbers
      self.maximumDepth = maximumDepth
      self.maximumBytes = maximumBytes
      self.maximumMembers = maximumMembers
    }

    /// RFC 8259 with unique keys: for headers of safetensors files.
    public static let strict = ParseOptions(allowsNonFiniteNumbers: false, maximumDepth: 64, maximumBytes: 100_000_000)
    /// What Python's `json` writes, with unique keys: for configurations, tokenizers, indices.
    public static let config = ParseOptions(allowsNonFiniteNumbers: true, maximumDepth: 128, maximumBytes: 256 << 20)
  }

  /// Why a text is not JSON, and where.
  public struct ParseError: Error, Sendable, Equatable {
    /// What is wrong.
    public enum Problem: Sendable, Equatable {
      /// The text ends inside a value.
      case truncated
      /// A byte that is not allowed here.
      case unexpected(String)
      /// Something follows the value.
      case trailing
      case duplicateKey(String)
      case invalidUTF8
      case loneSurrogate
      case tooDeep
      case tooLarge
      case tooManyMembers
    }

    /// What is wrong.
    public var problem: Problem
    /// From the start of the text.
    public var byteOffset: Int
    /// Counted from 1.
    public var line: Int
    /// Keys of the objects around the place, outermost first (`[3]` for array elements).
    public var path: [String]
  }

  /// Parses one value with only white space around it. Keys keep their order and must be unique in their object.
  /// - Complexity: O(n).
  public static func parse(_ bytes: UnsafeRawBufferPointer, _ options: ParseOptions = .config) throws(ParseError) -> JSON {
    var parser = JSONParser(bytes, options)
    let value = try parser.document()
    parser.skipSpace()
    guard parser.isAtEnd else { throw parser.error(.trailing) }
    return value
  }

  /// Parses one value with only white space around it.
  public static func parse(_ view: ByteView, _ options: ParseOptions = .config) throws(ParseError) -> JSON {
    try view.parse { (bytes) throws(ParseError) in try parse(bytes, options) }
  }

  /// Parses one value and says where it ends; what follows is up to the caller.
  /// - Returns: the value and the offset of the first byte after it.
  public static func parsePrefix(
    _ view: ByteView, _ options: ParseOptions = .strict
  ) throws(ParseError) -> (value: JSON, end: Int) {
    try view.parse { (bytes) throws(ParseError) in
      var parser = JSONParser(bytes, options)
      let value = try parser.document()
      return (value, parser.position)
    }
  }

  /// Parses a file.
  /// - Throws: `Failure` as `Files.map`, or `json.…` with the byte offset.
  public static func load(_ path: String, _ options: ParseOptions = .config) throws(Failure) -> JSON {
    let file = try Files.map(path, maximumBytes: options.maximumBytes)
    do {
      return try parse(file.contents, options)
    } catch {
      throw (WrongKind.failure(file.contents, expected: "JSON") ?? error.failure()).inFile(path)
    }
  }
}

extension JSON.ParseError {
  /// What a text that is not UTF-8, or begins with a mark that JSON does not allow, begins with.
  private static let encodings = [
    "byte 0xef where a value is expected": " (a byte order mark; save the file as UTF-8 without it)",
    "byte 0xff where a value is expected": " (the mark of UTF-16; save the file as UTF-8)",
    "byte 0xfe where a value is expected": " (the mark of UTF-16; save the file as UTF-8)",
  ]

  /// The error as a failure with an id `json.…`.
  public func failure() -> Failure {
    let place = path.isEmpty ? "" : " in \(path.joined(separator: "."))"
    let (id, message) =
      switch problem {
      case .truncated: ("json.truncated", "the JSON text is cut off")
      case .unexpected(let what): ("json.syntax", "invalid JSON: \(what)\(byteOffset == 0 ? JSON.ParseError.encodings[what] ?? "" : "")")
      case .trailing: ("json.trailing", "there is more text after the JSON value")
      case .duplicateKey(let key): ("json.duplicate-key", "the key \(JSON.string(key).text()) appears twice")
      case .invalidUTF8: ("json.utf8", "a string is not valid UTF-8")
      case .loneSurrogate: ("json.surrogate", "a \\u escape is half of a surrogate pair")
      case .tooDeep: ("json.depth", "values are nested too deeply")
      case .tooLarge: ("json.size", "the JSON text is too large")
      case .tooManyMembers: ("json.members", "an object has too many keys")
      }
    let remedy: Remedy? = id == "json.duplicate-key" ? "Remove one of the two; Python programs use the last." : nil
    return Failure(.data, id, "\(message)\(place) (line \(line))", byteOffset: byteOffset, remedy: remedy)
  }
}

extension ByteView {
  /// `withUnsafeBytes` with a typed error.
  fileprivate func parse<Result>(
    _ body: (UnsafeRawBufferPointer) throws(JSON.ParseError) -> Result
  ) throws(JSON.ParseError) -> Result {
    let result: Swift.Result<Result, JSON.ParseError> = withUnsafeBytes { bytes in
      do throws(JSON.ParseError) { return .success(try body(bytes)) } catch { return .failure(error) }
    }
    return try result.get()
  }
}

/// Recursive descent over bytes.
private struct JSONParser {
  private let bytes: UnsafeRawBufferPointer
  private let options: JSON.ParseOptions
  private(set) var position = 0
  private var path: [String] = []
  private var depth = 0

  init(_ bytes: UnsafeRawBufferPointer, _ options: JSON.ParseOptions) {
    self.bytes = bytes
    self.options = options
  }

  var isAtEnd: Bool { position >= bytes.count }

  func error(_ problem: JSON.ParseError.Problem, at offset: Int? = nil) -> JSON.ParseError {
    let offset = offset ?? position
    let line = 1 + bytes.prefix(offset).count { $0 == UInt8(ascii: "\n") }
    return JSON.ParseError(problem: problem, byteOffset: offset, line: line, path: path)
  }

  private func unexpected(_ wanted: String) -> JSON.ParseError {
    guard position < bytes.count else { return error(.truncated) }
    let byte = bytes[position]
    let found =
      byte > 0x20 && byte < 0x7f
      ? "'\(Character(Unicode.Scalar(byte)))'" : "byte 0x" + String(byte, radix: 16, uppercase: false)
    return error(.unexpected("\(found) where \(wanted) is expected"))
  }

  mutating func document() throws(JSON.ParseError) -> JSON {
    guard bytes.count <= options.maximumBytes else { throw error(.tooLarge) }
    skipSpace()
    return try value()
  }

  mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0a, 0x0d: position += 1
      default: return
      }
    }
  }

  private mutating func value() throws(JSON.ParseError) -> JSON {
    guard position < bytes.count else { throw error(.truncated) }
    switch bytes[position] {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "N") where options.allowsNonFiniteNumbers: return try word("NaN", .number("NaN"))
    case UInt8(ascii: "I") where options.allowsNonFiniteNumbers: return try word("Infinity", .number("Infinity"))
    default: throw unexpected("a value")
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSON) throws(JSON.ParseError) -> JSON {
    for index in 0..<text.utf8CodeUnitCount {
      guard position < bytes.count else { throw error(.truncated) }
      guard bytes[position] == text.utf8Start[index] else { throw unexpected("'\(text)'") }
      position += 1
    }
    return value
  }

  private mutating func enter() throws(JSON.ParseError) {
    guard depth < options.maximumDepth else { throw error(.tooDeep) }
    depth += 1
    position += 1
    skipSpace()
  }

  /// Consumes the closing bracket if it is next.
  private mutating func closes(_ bracket: UInt8) -> Bool {
    guard position < bytes.count, bytes[position] == bracket else { return false }
    position += 1
    depth -= 1
    return true
  }

  /// After an element: consumes a comma and returns true, or the closing bracket and returns false.
  private mutating func goesOn(until bracket: UInt8, _ wanted: String) throws(JSON.ParseError) -> Bool {
    skipSpace()
    if closes(bracket) { return false }
    guard position < bytes.count, bytes[position] == UInt8(ascii: ",") else { throw unexpected(wanted) }
    position += 1
    skipSpace()
    return true
  }

  private mutating func array() throws(JSON.ParseError) -> JSON {
    try enter()
    var elements: [JSON] = []
    if closes(UInt8(ascii: "]")) { return .array(elements) }
    repeat {
      elements.append(try value())
    } while try goesOn(until: UInt8(ascii: "]"), "',' or ']'")
    return .array(elements)
  }

  private mutating func object() throws(JSON.ParseError) -> JSON {
    try enter()
    var members: [JSON.Member] = []
    var keys = KeyTable()
    if closes(UInt8(ascii: "}")) { return .object(members) }
    repeat {
      guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw unexpected("a key") }
      let start = position
      let key = try string()
      guard members.count < options.maximumMembers else { throw error(.tooManyMembers, at: start) }
      if keys.contains(key, in: members) { throw error(.duplicateKey(key), at: start) }
      skipSpace()
      guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else { throw unexpected("':'") }
      position += 1
      skipSpace()
      path.append(key)
      let value = try value()
      path.removeLast()
      members.append(JSON.Member(key, value))
    } while try goesOn(until: UInt8(ascii: "}"), "',' or '}'")
    return .object(members)
  }

  private mutating func number() throws(JSON.ParseError) -> String {
    let start = position
    if bytes[position] == UInt8(ascii: "-") {
      position += 1
      if options.allowsNonFiniteNumbers, position < bytes.count, bytes[position] == UInt8(ascii: "I") {
        _ = try word("Infinity", .null)
        return "-Infinity"
      }
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: "0") {
      position += 1
    } else {
      try digits()
    }
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    return String(decoding: UnsafeRawBufferPointer(rebasing: bytes[start..<position]), as: UTF8.self)
  }

  private mutating func digits() throws(JSON.ParseError) {
    let start = position
    while position < bytes.count, bytes[position] &- 0x30 < 10 { position += 1 }
    if position == start { throw unexpected("a digit") }
  }

  /// The string whose opening quotation mark is next.
  private mutating func string() throws(JSON.ParseError) -> String {
    let start = position
    position += 1
    let first = position
    var escaped: [UInt8] = []
    var copied = first
    var highBits: UInt8 = 0
    while true {
      guard position < bytes.count else { throw error(.truncated) }
      let byte = bytes[position]
      if byte == UInt8(ascii: "\"") { break }
      guard byte >= 0x20 else { throw unexpected("an escape") }
      if byte == UInt8(ascii: "\\") {
        escaped.append(contentsOf: bytes[copied..<position])
        try escape(&escaped)
        copied = position
      } else {
        highBits |= byte
        position += 1
      }
    }
    let end = position
    position += 1
    if copied != first {
      escaped.append(contentsOf: bytes[copied..<end])
      guard let text = String(validating: escaped, as: UTF8.self) else { throw error(.invalidUTF8, at: start) }
      return text
    }
    let raw = UnsafeRawBufferPointer(rebasing: bytes[first..<end])
    // Invalid sequences are replaced, so the text then differs from the bytes. This is faster than a validating initializer.
    var text = String(decoding: raw, as: UTF8.self)
    if highBits >= 0x80, !text.withUTF8({ $0.elementsEqual(raw) }) { throw error(.invalidUTF8, at: start) }
    return text
  }

  /// Decodes the escape at the backslash that is next.
  private mutating func escape(_ out: inout [UInt8]) throws(JSON.ParseError) {
    let start = position
    position += 1
    guard position < bytes.count else { throw error(.truncated) }
    switch bytes[position] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(bytes[position])
    case UInt8(ascii: "b"): out.append(0x08)
    case UInt8(ascii: "f"): out.append(0x0c)
    case UInt8(ascii: "n"): out.append(0x0a)
    case UInt8(ascii: "r"): out.append(0x0d)
    case UInt8(ascii: "t"): out.append(0x09)
    case UInt8(ascii: "u"):
      var code = try hexadecimal()
      if code & 0xfc00 == 0xd800 {
        guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"), bytes[position + 1] == UInt8(ascii: "u") else {
          throw error(.loneSurrogate, at: start)
        }
        position += 1
        let low = try hexadecimal()
        guard low & 0xfc00 == 0xdc00 else { throw error(.loneSurrogate, at: start) }
        code = 0x10000 + (code & 0x3ff) << 10 + (low & 0x3ff)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error(.loneSurrogate, at: start) }
      out.append(contentsOf: UTF8.encode(scalar)?.map { $0 } ?? [])
      return
    default: throw unexpected("an escape")
    }
    position += 1
  }

  /// Four hexadecimal digits after the `u` that is next.
  private mutating func hexadecimal() throws(JSON.ParseError) -> UInt32 {
    position += 1
    var code: UInt32 = 0
    for _ in 0..<4 {
      guard position < bytes.count else { throw error(.truncated) }
      let byte = bytes[position]
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else { throw unexpected("a hexadecimal digit") }
      code = code << 4 | UInt32(digit)
      position += 1
    }
    return code
  }
}
