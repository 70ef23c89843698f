import QuantCore
import TestSupport
import Testing

@Suite struct JSONParserTests {
  private func parse(_ text: String, _ options: JSON.ParseOptions = .config) throws -> JSON {
    try JSON.parse(ByteView(Array(text.utf8)), options)
  }

  private func problem(_ bytes: [UInt8], _ options: JSON.ParseOptions = .strict) -> JSON.ParseError? {
    do {
      _ = try JSON.parse(ByteView(bytes), options)
      return nil
    } catch {
      return error
    }
  }

  @Test func keepsTheOrderOfKeysAndTheSpellingOfNumbers() throws {
    let value = try parse(#" { "b" : 1e-05, "a" : [ true , null, -0.50 ], "" : {} } "#)
    #expect(
      value
        == .object([
          .init("b", .number("1e-05")), .init("a", .array([.bool(true), .null, .number("-0.50")])), .init("", .object([])),
        ]))
  }

  @Test(arguments: [
    (#""\u0041\n\t\r\b\f\/\\\"""#, "A\n\t\r\u{8}\u{c}/\\\""),
    (#""\ud83d\ude00é😀""#, "😀é😀"),
    (#""\u0000x""#, "\0x"),
  ])
  func decodesEscapes(text: String, expected: String) throws {
    #expect(try parse(text) == .string(expected))
  }

  @Test(arguments: [
    ("", JSON.ParseError.Problem.truncated), ("{", .truncated), ("[1,", .truncated), ("\"a", .truncated), ("tru", .truncated),
    ("\"\\u12", .truncated), ("1 2", .trailing), ("{}}", .trailing), (#"{"a":1,"a":1}"#, .duplicateKey("a")),
    (#"{"a":1,"\u0061":1}"#, .duplicateKey("a")), (#""\ud800""#, .loneSurrogate), (#""\ude00""#, .loneSurrogate),
    (#""\ud800\u0041""#, .loneSurrogate),
  ])
  func namesWhatIsWrong(text: String, expected: JSON.ParseError.Problem) {
    #expect(problem(Array(text.utf8))?.problem == expected)
  }

  @Test(arguments: [
    "[1,]", "{\"a\":1,}", "[01]", "[-]", "[1.]", ".5", "[1e]", "+1", "NaN", "[Infinity]", "{a:1}", "'a'", "\"\t\"", "\"\\x\"", "[1 2]",
    "{\"a\" 1}", "nul!", "\u{feff}1", "\"\\u12g4\"",
  ])
  func refusesWhatIsNotJSON(text: String) {
    guard case .unexpected? = problem(Array(text.utf8))?.problem else {
      Issue.record("accepted or misnamed: \(text)")
      return
    }
  }

  @Test(arguments: ["NaN", "Infinity", "-Infinity"])
  func acceptsTheNumbersThatPythonWritesInConfigurations(text: String) throws {
    #expect(try parse("[\(text)]") == .array([.number(text)]))
    #expect(problem(Array("[\(text)]".utf8), .strict) != nil)
  }

  @Test func refusesInvalidUTF8InsideStrings() {
    for bytes: [UInt8] in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82], [0xf5, 0x80, 0x80, 0x80]] {
      #expect(problem([0x22] + bytes + [0x22])?.problem == .invalidUTF8)
    }
  }

  @Test func saysWhereAnErrorIs() {
    let error = problem(Array("{\n \"a\": {\"b\": [1,\n 2, x]}}".utf8))
    #expect(error?.line == 3)
    #expect(error?.byteOffset == 22)
    #expect(error?.path == ["a", "b"])
  }

  @Test func stopsAtTheDepthLimitHoweverDeepTheTextIs() {
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
    #expect(problem(deep)?.problem == .tooDeep)
    #expect(problem(Array(String(repeating: "[", count: 64).utf8) + Array(String(repeating: "]", count: 64).utf8)) == nil)
    #expect(problem(Array(String(repeating: "[", count: 65).utf8) + Array(String(repeating: "]", count: 65).utf8)) != nil)
  }

  @Test func findsDuplicatesInLargeObjectsByBytes() throws {
    var members = (0..<100).map { "\"k\($0)\":0" }
    // U+00E9, and e with a combining accent: equal as Swift strings, two different keys for every other program.
    members += ["\"\u{e9}\":1", "\"e\u{301}\":2"]
    #expect(try parse("{\(members.joined(separator: ","))}").objectValue?.count == 102)
    members.append("\"k7\":1")
    #expect(problem(Array("{\(members.joined(separator: ","))}".utf8))?.problem == .duplicateKey("k7"))
  }

  @Test func refusesTextsAboveTheSizeLimit() {
    let options = JSON.ParseOptions(allowsNonFiniteNumbers: false, maximumDepth: 4, maximumBytes: 3)
    #expect(problem(Array("1234".utf8), options)?.problem == .tooLarge)
    #expect(problem(Array("123".utf8), options) == nil)
  }

  @Test func saysWhereTheFirstValueEnds() throws {
    let (value, end) = try JSON.parsePrefix(ByteView(Array("[1] \0\0".utf8)))
    #expect(value == .array([.number("1")]))
    #expect(end == 3)
  }

  @Test func writesWhatItReads() throws {
    let text = #"{"b":[1e-05,{},[],"\"\\\n\u0001é😀"],"a":null,"c":false}"#
    #expect(try parse(text).text() == text)
    #expect(try parse(parse(text).text(pretty: true)) == parse(text))
  }

  @Test func writesPrettyTextAsPythonDoes() throws {
    #expect(
      try parse(#"{"a":[1,{"b":"x"}],"c":{},"d":[]}"#).text(pretty: true)
        == "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"x\"\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}")
  }

  @Test func readsALargeTokenizerAndWritesItAgainWithoutLoss() throws {
    // As large as today's tokenizers, with every kind of escape.
    let folder = TemporaryFolder()
    let tokens = (0..<150_000).map { "\"token \($0) \\u00e9\\n\\\"\": \($0)" }
    let merges = (0..<150_000).map { "[\"a\($0)\", \"\u{120}b\($0)\"]" }
    let text = "{\"model\": {\"vocab\": {\(tokens.joined(separator: ", "))}, \"merges\": [\(merges.joined(separator: ",\n"))]}}"
    let path = folder.file("tokenizer.json")
    writeFile(path, Array(text.utf8))
    let clock = ContinuousClock()
    var value = JSON.null
    let time = try clock.measure { value = try JSON.load(path) }
    let bytes = readFile(path)
    print("JSON: \(bytes.count) bytes in \(time)")
    #expect(value["model"]?["vocab"]?.objectValue?.count == 150_000)
    #expect(value["model"]?["vocab"]?["token 7 \u{e9}\n\""] == .int(7))
    // Nothing is lost by writing it and reading it again.
    #expect(try JSON.parse(ByteView(Array(value.text().utf8))) == value)
  }
}
