import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

private let repository = "https://example.org/qconvert"

private func scaffold(_ name: String, _ kind: Scaffold.Kind = .method, qconvert: String = repository) throws -> Scaffold {
  try Scaffold(name: name, kind: kind, qconvert: qconvert, registry: Registry(QConvert.builtIn))
}

/// So Tests/EndToEnd/plugin-package.sh, which builds and runs the examples, tests what the command writes.
@Test(arguments: [
  ("shrink", Scaffold.Kind.method), ("searched", .scheme), ("nibbles", .packing), ("shelf", .format), ("heron", .family),
])
func theExamplesAreWhatTheCommandWrites(_ name: String, _ kind: Scaffold.Kind) throws {
  let examples = SharedData.fixture("../../Examples")
  var written = try scaffold(name, kind).files
  written[0].text = written[0].text.replacing(
    ".package(url: \"\(repository)\", branch: \"main\")", with: ".package(name: \"qconvert\", path: \"../..\")")
  for (path, text) in written {
    #expect(String(decoding: readFile(examples + "/\(name)/\(path)"), as: UTF8.self) == text, "\(path)")
  }
}

@Test(arguments: Scaffold.Kind.allCases) func anotherNameChangesNothingElse(_ kind: Scaffold.Kind) throws {
  let shrink = try scaffold("shrink", kind).files, other = try scaffold("squeeze-2", kind).files
  func renamed(_ text: String) -> String {
    let names = [("shrink", "squeeze-2"), ("Shrink", "Squeeze2"), ("SHRINK", "SQUEEZE-2")]
    return names.reduce(text) { $0.replacing($1.0, with: $1.1) }
  }
  for (a, b) in zip(shrink, other) {
    #expect(renamed(a.text) == b.text)
    #expect(renamed(a.path) == b.path)
  }
}

@Test(arguments: ["", "Awq", "2fast", "a--b", "-a", "a-", "../a", "a b", "ä", String(repeating: "a", count: 41), "gptq", "quantization"])
func namesAreChecked(_ name: String) throws {
  let failure = try #require(throws: Failure.self) { try scaffold(name) }
  #expect(failure.kind == .usage)
}

@Test func qconvertMustBeThere() throws {
  let folder = TemporaryFolder()
  let failure = try #require(throws: Failure.self) { try scaffold("mine", qconvert: folder.file("none")) }
  #expect(failure.kind == .noInput)
}
