import QuantCore
import Testing

@testable import QConvertKit

@Test func anErrorIsOneLineWithItsSubjectRemedyAndID() {
  let failure = Failure(
    .data, "st.range", "data lies beyond the end", file: "m.safetensors", tensor: "w", byteOffset: 8, remedy: "Download it again")
  #expect(Wording.line(failure) == "error: m.safetensors: tensor 'w': byte 8: data lies beyond the end. Download it again. [st.range]")
  #expect(Wording.line(Failure(.io, "x", "it broke.")) == "error: it broke. [x]")
}

@Test func hostileNamesCannotReachTheTerminal() {
  let failure = Failure(.data, "x", "bad\nname", file: "a\u{1b}[2Jb", tensor: "c\u{202e}d\u{9b}e\u{7f}")
  let line = Wording.line(failure)
  #expect(line == "error: a\\u{1b}[2Jb: tensor 'c\\u{202e}d\\u{9b}e\\u{7f}': bad\\nname. [x]")
  #expect(Wording.printable("Größe 模型 ▁x\r\n\t") == "Größe 模型 ▁x\\r\\n\\t")
}

@Test func anErrorAsJSONHasAllKeysAndTheKindByName() throws {
  let failure = Failure(.noInput, "input.missing", "is not there", file: "m", byteOffset: 3)
  let expected = """
    {"ok":false,"error":{"id":"input.missing","kind":"no-input","file":"m","tensor":null,"offset":3,\
    "message":"is not there","remedy":null}}
    """
  #expect(JSONOutput.document([], failure).text() == expected)
}

@Test func settingsAndCommandsInARemedyAreSpelledAsTheyAreTyped() {
  let remedy: Remedy = "Give \(setting: "scheme") \("q4_k"); " + "\(command: "plugins") lists \(2 + 1)."
  let failure = Failure(.usage, "x", "it broke", remedy: remedy)
  #expect(Wording.line(failure) == "error: it broke. Give --scheme q4_k; 'qconvert plugins' lists 3. [x]")
  #expect(JSONOutput.document([], failure).text().contains("Give --scheme q4_k; 'qconvert plugins' lists 3."))
  #expect(remedy.description == "Give 'scheme' q4_k; 'plugins' lists 3.")
}

@Test func everyKindIsItsOwnExitCodeAndName() {
  let kinds = Failure.Kind.allCases
  #expect(Set(kinds.map { Wording.name($0) }).count == kinds.count)
  for (id, kind) in kinds.enumerated() {
    let capture = Capture()
    let session = Session(console: capture.console(), options: nil, isJSON: false)
    #expect(session.report(Failure(kind, "id.\(id)", "message")) == kind.rawValue)
    #expect(capture.error == "error: message. [id.\(id)]\n")
  }
}

@Test func anUnexpectedErrorIsABugWithAReportNumberThatStays() throws {
  struct Odd: Error { var number: Int }
  let failure = Wording.failure(for: Odd(number: 1))
  #expect(failure.kind == .internalError)
  #expect(failure == Wording.failure(for: Odd(number: 1)))
  #expect(failure != Wording.failure(for: Odd(number: 2)))
  let number = try #require(failure.message.firstMatch(of: /report ([0-9a-f]{16})/)?.output.1)
  #expect(!number.isEmpty)
  #expect(!failure.message.contains("Odd"))
}

@Test(arguments: [
  (0, "0 B"), (999, "999 B"), (1000, "1.00 KB"), (9994, "9.99 KB"), (9995, "10.0 KB"), (99_950, "100 KB"), (999_499, "999 KB"),
  (999_500, "1.00 MB"), (4_580_000_000, "4.58 GB"), (1_200_000_000_000, "1.20 TB"),
])
func sizesHaveThreeDigits(_ bytes: Int, _ text: String) {
  #expect(ByteSize.format(bytes) == text)
}

@Test func numbersAreWrittenWithFixedDecimals() {
  #expect(4.8349.fixed(3) == "4.835")
  #expect((-0.0004).fixed(3) == "0.000")
  #expect((-1.5).fixed(2) == "-1.50")
  #expect(0.05.fixed(1) == "0.1")
  #expect(7.0.fixed(0) == "7")
  #expect(Double.nan.fixed(2) == "nan")
  #expect((-Double.infinity).fixed(2) == "-inf")
  #expect(1e30.fixed(2) == "1e+30")
  #expect(1_234_567.grouped == "1,234,567")
  #expect((-1000).grouped == "-1,000")
  #expect(999.grouped == "999")
}

@Test func durationsReadLikeClocks() {
  #expect(Wording.duration(0.04) == "0.0 s")
  #expect(Wording.duration(9.94) == "9.9 s")
  #expect(Wording.duration(9.96) == "10 s")
  #expect(Wording.duration(245) == "4 min 05 s")
  #expect(Wording.duration(12_000) == "3 h 20 min")
  #expect(!Wording.duration(.infinity).isEmpty)
}

@Test func tablesAlignTheirColumns() {
  var table = Table([("NAME", .left), ("BYTES", .right), ("NOTE", .left)])
  table.add(["a", "1,000"])
  table.add(["longer\u{1b}", "7", "kept"])
  let expected = """
    NAME          BYTES  NOTE
    a             1,000
    longer\\u{1b}      7  kept

    """
  #expect(table.text() == expected)
}

@Test func colourFollowsTheChoiceTheTerminalAndNOCOLOR() {
  let coloured = "\u{1b}[1mx\u{1b}[0m"
  #expect(Style(.auto, isTerminal: true, noColor: nil).bold("x") == coloured)
  #expect(Style(.auto, isTerminal: true, noColor: "").bold("x") == coloured)
  #expect(Style(.auto, isTerminal: true, noColor: "1").bold("x") == "x")
  #expect(Style(.auto, isTerminal: false, noColor: nil).bold("x") == "x")
  #expect(Style(.always, isTerminal: false, noColor: "1").bold("x") == coloured)
  #expect(Style(.never, isTerminal: true, noColor: nil).bold("x") == "x")
}

@Test func metadataKeepsTypesAndCutsArrays() {
  #expect(MetadataValue.u64(.max).json(limit: 2) == .number("18446744073709551615"))
  #expect(MetadataValue.f32(0.1).json(limit: 2).text() == "0.1")
  #expect(MetadataValue.f32(.nan).json(limit: 2) == .null)
  #expect(MetadataValue.strings(["a", "b", "c"]).json(limit: 2).text() == "[\"a\",\"b\"]")
  #expect(MetadataValue.strings(["a", "b", "c"]).elementCount == 3)
  #expect(MetadataValue.bools([]).typeName == "bool array")
  #expect(MetadataValue.i16(-3).typeName == "i16")
}
