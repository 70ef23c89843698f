import QuantCore
import TestSupport
import Testing

@testable import QuantText

/// What a matcher remembers changes no result, and keeps the time proportional to the text.
@Suite(.serialized) struct ExpressionMemoryTests {
  /// Expected values from Python's `re` (Fixtures/expressions/make.py), with a memory that begins at once, in the middle, and never.
  @Test(arguments: [0, 20, 1024, Int.max / 2]) func matchesAreThoseOfPython(allowance: Int) throws {
    let cases = try JSON.load(SharedData.fixture("expressions/matches.json")).arrayValue ?? []
    #expect(cases.count == 400)
    for entry in cases {
      let parts = try #require(entry.arrayValue)
      let source = try #require(parts[0].stringValue), written = try #require(parts[1].stringValue)
      let expression = try ExpressionParser.parse(source)
      let text = ScalarText(Array(written.utf8))
      var scratch = Expression.Scratch(of: expression, 0..<text.scalars.count, allowance: allowance)
      let ends = (0...text.scalars.count).map { expression.match(text, at: $0, &scratch) ?? -1 }
      #expect(ends == parts[2].arrayValue?.compactMap(\.intValue), "\(source) in '\(written)'")
    }
  }

  /// Texts of one or two characters, which every rule of a pre-tokenizer might look at again and again.
  @Test(
    .timeLimit(.minutes(5)),
    arguments: ["1", " ", "a", "A", "\n", "'", "\u{4e2d}", "\u{301}", " \n", "aA"])
  func everyPreTokenizerIsLinear(part: String) {
    let count = 100_000
    for last in ["", "x"] {
      let text = Array((String(repeating: part, count: count / part.unicodeScalars.count) + last).utf8)
      var seen: [[SplitPattern]] = []
      for named in KnownPreTokenizers.named where !seen.contains(named.steps) {
        seen.append(named.steps)
        let start = ContinuousClock.now
        var length = 0
        named.preTokenizer.ranges(of: text) { length += $0.count }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        // Looking at every pair of places would take some minutes.
        #expect(seconds < (_isDebugAssertConfiguration() ? 60 : 5), "\(named.name): \(seconds) s")
        #expect(length <= text.count)
      }
    }
  }

  @Test(
    .timeLimit(.minutes(1)),
    arguments: [
      #"\s+$"#, #"(?=(\d{3})+(?!\d))"#, #"(?:[a ]+b)+c"#, #"a(?:a*b)?"#, #"a(?:(?:aa)*b)?"#, #"(?:a+c|a)+!"#, #"a{0,9000}b"#,
      #"(?:(?=a*c)a|a)+?d"#, #".*.*=.*"#, #"(?:\w+ )*x"#, #"\d+ \d+x"#, "(a|aa)+!",
    ])
  func hostileExpressionsAreLinear(source: String) throws {
    let expression = try ExpressionParser.parse(source)
    for part in ["a", " ", "1", "a ", "1 "] {
      let text = ScalarText(Array(String(repeating: part, count: 100_000 / part.utf8.count).utf8))
      var pieces: [Range<Int>] = []
      let start = ContinuousClock.now
      expression.split(text, 0..<text.scalars.count, .isolated, isInverted: false, into: &pieces)
      let seconds = (ContinuousClock.now - start) / .seconds(1)
      #expect(seconds < (_isDebugAssertConfiguration() ? 60 : 5), "\(source) on '\(part)': \(seconds) s")
      #expect(pieces.reduce(0) { $0 + $1.count } == text.scalars.count)
    }
  }
}
