import QuantCore
import Testing

@testable import QuantBase
@testable import QuantConversion
@testable import QuantModel
@testable import QuantText

/// A token per byte.
private struct ByteTokenizer: Tokenizer {
  var data = TokenizerData(kind: .byteLevelBPE, tokens: [])
  init(bos: Int?, addsBOS: Bool) {
    if let bos { data.special["bos"] = bos }
    data.addsBOS = addsBOS
  }
  func encode(_ text: String) -> [Int] { text.utf8.map(Int.init) }
  func decode(_ ids: [Int]) -> String { "" }
  func bytes(of id: Int) -> [UInt8] { [] }
}

private func windows(_ text: String, _ change: (inout CalibrationRequest) -> Void, bos: Int? = nil) throws -> CalibrationWindows {
  var request = CalibrationRequest()
  change(&request)
  return try CalibrationWindows(
    text: text, origin: "test", tokenizer: ByteTokenizer(bos: bos, addsBOS: bos != nil), request: request)
}

@Test func calibrationWindowsAreSpreadEvenlyOverTheText() throws {
  let text = String((0..<80).map { Character(UnicodeScalar(UInt8(33 + $0))) })
  let result = try windows(text) {
    $0.samples = 4; $0.context = 10
  }
  #expect(result.windows.map { $0[0] - 33 } == [0, 20, 40, 60])
  #expect(result.tokenCount == 40 && result.availableTokens == 80)
}

@Test func everyCalibrationWindowStartsWithBOSWhereTheTokenizerSaysSo() throws {
  let result = try windows(
    "abcdefgh",
    {
      $0.samples = 9; $0.context = 5
    }, bos: 1)
  #expect(result.windows == [[1, 97, 98, 99, 100], [1, 101, 102, 103, 104]])
  let without = try windows(
    "abcdefgh",
    {
      $0.samples = 9; $0.context = 4; $0.bos = false
    }, bos: 1)
  #expect(without.windows == [[97, 98, 99, 100], [101, 102, 103, 104]])
}

@Test func aSeedChoosesOtherWindowsButAlwaysTheSame() throws {
  let text = String(repeating: "abcdefghij", count: 50)
  let even = try windows(text) {
    $0.samples = 7; $0.context = 5
  }
  let seeded = try windows(text) {
    $0.samples = 7; $0.context = 5; $0.seed = 3
  }
  let again = try windows(text) {
    $0.samples = 7; $0.context = 5; $0.seed = 3
  }
  #expect(seeded == again && seeded.windows.count == 7 && even.windows.count == 7)
}

@Test func anEmptyCalibrationTextIsAnError() {
  #expect(throws: Failure.self) { try windows("") { $0.samples = 1 } }
}

@Test func theLastTensorRuleThatMatchesWins() throws {
  let rules = try TensorRules(["*.ffn_*=q4_0", "re:down=q6_k", "model.embed*=q8_0"])
  let names = [
    (target: "blk.0.ffn_up.weight", source: "a"), (target: "blk.0.ffn_down.weight", source: "b"),
    (target: "token_embd.weight", source: "model.embed_tokens.weight"), (target: "output.weight", source: "lm_head.weight"),
  ]
  #expect(try rules.apply(to: names) == ["q4_0", "q6_k", "q8_0", nil])
}

@Test func aTensorRuleThatMatchesNothingIsAnError() throws {
  let rules = try TensorRules(["blk.*.attn_qq=q4_0"])
  #expect { try rules.apply(to: [(target: "blk.0.attn_q.weight", source: "q")]) } throws: { ($0 as? Failure)?.id == "rule.no-match" }
  #expect(throws: Failure.self) { try TensorRules(["q4_0"]) }
  #expect(throws: Failure.self) { try TensorRules(["re:(=q4_0"]) }
}

@Test func rotaryPairsAreUndoneByTheirInverse() {
  let order = RowOrder.rotaryPairs(headCount: 3)
  let rows = 24
  #expect(Set((0..<rows).map { order.containerRow(of: $0, rows: rows) }) == Set(0..<rows))
  // A head of 8 rows: the stored rows are the model's rows 0, 4, 1, 5, …
  #expect([0, 4, 1, 5, 2, 6, 3, 7].map { order.containerRow(of: $0, rows: rows) } == Array(0..<8))
}
