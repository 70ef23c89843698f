import QuantCore
import TestSupport
import Testing

/// Patterns of configurations: what Python's `re` says, in a time that the lengths bound.
@Suite struct NamePatternTests {
  @Test(arguments: [
    (".*lm_head", "model.lm_head", true, true), ("lm_head", "model.lm_head", false, true), ("model", "model.lm_head", true, true),
    ("^model$", "model.lm_head", false, false), (#"model\.layers\.(0|1)\..*proj$"#, "model.layers.1.mlp.up_proj", true, true),
    (#"model\.layers\.[0-9]+\.mlp"#, "model.layers.12.mlp.up_proj", true, true), (".*(q|k)_proj(x)?$", "a.q_proj", true, true),
    ("^(?!.*head).*$", "model.layers.0", true, true), ("^(?!.*head).*$", "model.head", false, false), ("a{2,3}$", "aaaa", false, true),
    (#"^a\.b$"#, "a.b", true, true), (#"^a\.b$"#, "axb", false, false), ("(x*)?y", "y", true, true), ("", "a", true, true),
  ])
  func matching(pattern: String, name: String, matches: Bool, isFound: Bool) throws {
    let compiled = try #require(NamePattern(pattern))
    #expect(compiled.matches(name) == matches)
    #expect(compiled.isFound(in: name) == isFound)
  }

  /// Each of these has exponentially many ways to match the first letters.
  @Test(
    .timeLimit(.minutes(1)),
    arguments: ["(.+)+!", "(a|a)+!", "(a|aa)+!", "(.*.*)+x!", "((a+)+)+!", "(?=(a+)+!)a", "a{0,90}a{0,90}a{0,90}!"])
  func patternsThatMatchInManyWays(pattern: String) {
    let name = String(repeating: "a", count: 200)
    #expect(NamePattern(pattern).map { $0.matches(name) || $0.isFound(in: name) } != true)
  }

  @Test func exactNames() throws {
    let name = "model.layers.0.mlp+[x]^$(a|b)"
    let pattern = try #require(NamePattern(NamePattern.exactly(name)))
    #expect(pattern.matches(name) && pattern.isFound(in: name))
    #expect(!pattern.matches(name + "x") && !pattern.matches("xodel"))
  }

  @Test(arguments: ["(", "[", "a**b(", #"(a)\1"#, String(repeating: "a", count: 2000)])
  func whatIsNotSupported(pattern: String) { #expect(NamePattern(pattern) == nil) }

  /// Each pattern is compared with each name, so there may be only so many; names are found without comparing.
  @Test func theirNumberHasALimit() throws {
    let patterns = (0...NamePattern.maximumCount).compactMap { NamePattern(".*layer\($0)") }
    try NamePattern.check(Array(patterns.dropLast()))
    let failure = #expect(throws: Failure.self) { try NamePattern.check(patterns) }
    #expect(failure?.id == "limit.patterns")
    try NamePattern.check((0..<5000).compactMap { NamePattern(NamePattern.exactly("layer\($0)")) })
  }
}
