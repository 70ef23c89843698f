import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

private let repository = "https://example.org/qconvert"

private func scaffold(_ name: String, _ kind: Scaffold.Kind = .method, qconvert: String = repository) throws -> Scaffold {
  try Scaffold(name: name, kind: kind, qconvert: qconvert, registry: Registry(QConvert.builtIn))
}

/// So Tests/EndToEnd/plugin-package.sh, which builds and runs the examples, tests what the command writes.
@Test(arguments: [("shrink", Scaffold.Kind.method), ("searched", .scheme)])
func theExamplesAreWhatTheCommandWrites(_ name: String, _ kind: Scaffold.Kind) throws {
  let examples = SharedData.fixture("../../Examples")
  var written = try scaffold(name, kind).files
  written[0].text = written[0].text.replacing(
    ".package(url: \"\(repository)\", branch: \"main\")", with: ".package(name: \"qconvert\", path: \"../..\")")
  for (path, text) in written {
    #expect(String(decoding: readFile(examples + "/\(name)/\(path)"), as: UTF8.self) == text, "\(path)")
  }
}

@Test func anotherNameChangesNothingElse() throws {
  let shrink = try scaffold("shrink").files, other = try scaffold("clip-search2").files
  for (a, b) in zip(shrink, other) {
    #expect(a.text.replacing("shrink", with: "clip-search2").replacing("Shrink", with: "ClipSearch2") == b.text)
    #expect(a.path.replacing("shrink", with: "clip-search2").replacing("Shrink", with: "ClipSearch2") == b.path)
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
