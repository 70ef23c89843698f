import QuantCore
import TestSupport
import Testing

@testable import QConvertKit
@testable import QuantBase
@testable import QuantEngine
@testable import QuantModel

/// A custom method that does nothing.
private struct Idle: QuantizationMethod {
  static let id = "idle"
  static let summary = "Does nothing."
  static let reference = "Nobody 2024"
  static let options = [OptionDeclaration(name: "depth", summary: "how little to do", defaultValue: "3")]
  static let requirements: Set<Statistic> = [.gram]
  init(_ options: OptionValues) throws {}
  var stages: Set<MethodStage> { [] }
}

@Test func helpIsDataAndNamesCommandsExamplesAndExitCodes() {
  let capture = Capture()
  #expect(capture.run("--help") == 0)
  #expect(capture.error.isEmpty)
  for command in ["convert", "plan", "inspect", "eval", "generate", "plugins"] { #expect(capture.output.contains("  " + command)) }
  #expect(capture.output.contains("EXAMPLES"))
  for exit in Wording.exitCodes { #expect(capture.output.contains("  " + exit.code + " ")) }
}

@Test func eachCommandHasItsOwnHelp() {
  for arguments in [["convert", "--help"], ["help", "convert"], ["in", "out", "--help"]] {
    let capture = Capture()
    #expect(QConvert.run(arguments, plugins: [], console: capture.console()) == 0)
    #expect(capture.output.contains("--allow-requantize"))
  }
}

@Test func versionIsOneLineOfData() {
  let capture = Capture()
  #expect(capture.run("--version") == 0)
  #expect(capture.output == QuantCoreInfo.version + "\n")
}

@Test func wrongUsageIsOneLineOnStandardError() {
  let capture = Capture()
  #expect(capture.run("in", "out", "--nonsense") == 64)
  #expect(capture.output.isEmpty)
  #expect(capture.error.hasPrefix("error: "))
  #expect(capture.error.contains("--nonsense"))
  #expect(capture.error.hasSuffix("[usage.arguments]\n"))
  #expect(capture.error.split(separator: "\n").count == 1)
}

@Test func withJSONErrorsAreDocumentsOnStandardOutput() throws {
  let capture = Capture()
  #expect(capture.run("in", "out", "--nonsense", "--json") == 64)
  #expect(capture.error.isEmpty)
  #expect(capture.output.contains("\"ok\": false"))
  #expect(capture.output.contains("\"id\": \"usage.arguments\""))
}

@Test func aMissingInputIsExitCode66() {
  let folder = TemporaryFolder()
  for arguments in [["convert", folder.file("none"), folder.file("out.gguf")], ["inspect", folder.file("none")]] {
    let capture = Capture()
    #expect(QConvert.run(arguments, plugins: QConvert.builtIn, console: capture.console()) == 66)
    #expect(capture.error.contains(folder.file("none")))
    #expect(capture.output.isEmpty)
  }
}

@Test func aSecondPluginWithTheSameIDIsAConfigurationError() {
  let capture = Capture()
  #expect(capture.run("plugins", plugins: [Idle.self, Idle.self]) == 78)
}

@Test func pluginsShowsWhatSomeoneElseAdded() {
  let capture = Capture()
  #expect(capture.run("plugins", plugins: [Idle.self]) == 0)
  let expected = """
    AXIS    ID    SUMMARY
    method  idle  Does nothing.
                    option depth=3: how little to do
                    requires calibration: gram
                    reference: Nobody 2024

    """
  #expect(capture.output == expected)
}

@Test func pluginsAsJSONHasAllFacts() {
  let capture = Capture()
  #expect(capture.run("plugins", "--json", plugins: [Idle.self]) == 0)
  let facts = PluginFacts(Idle.self)
  let expected = """
    {"axis":"method","id":"idle","summary":"Does nothing.",\
    "options":[{"name":"depth","default":"3","summary":"how little to do"}],\
    "requirements":["gram"],"propagation":"original","schemes":[],"names":[],"reference":"Nobody 2024"}
    """
  #expect(facts.document.text() == expected)
  #expect(capture.output.contains("\"id\": \"idle\""))
}

@Test func theBuiltInPluginsHaveUniqueIDs() throws {
  _ = try Registry(QConvert.builtIn)
}

@Test func evaluationAsJSONHasItsDottedKeys() {
  let estimate = Estimate(value: 2, standardError: 0.5)
  var result = EvaluationResult(protocol: .llamaCpp, context: 512, windows: 3, tokens: 10, perplexity: estimate)
  let alone = JSONOutput.document(result.members())
  #expect(
    alone.text() == """
      {"ok":true,"protocol":"llama.cpp","context":512,"windows":3,"tokens":10,"perplexity":2.0,"perplexity.stderr":0.5}
      """)
  result.comparison = .init(
    perplexity: estimate, divergence: estimate, divergenceMedian: 1, divergence99: 3, divergenceMaximum: 4, sameTop: estimate)
  for key in ["kld.mean", "kld.mean.stderr", "kld.median", "kld.p99", "kld.max", "top1", "top1.stderr"] {
    #expect(JSONOutput.document(result.members())[key] != nil)
  }
  #expect(Evaluate.text(result, nil, nil).contains("perplexity      2.00000 ± 0.50000\n"))
  // The bounds of ZeroQuant-V2's classes.
  for (rise, sensitivity) in [(-0.2, 1), (0.099, 1), (0.101, 2), (0.499, 2), (0.501, 3)] {
    result.perplexity = Estimate(value: 2 + rise, standardError: 0.5)
    #expect(JSONOutput.document(result.members())["sensitivity"]?.text() == "\(sensitivity).0")
    #expect(Evaluate.text(result, nil, nil).contains("(class \(sensitivity))\n"))
  }
}

@Test func generatedTextCannotMoveTheCursorOfATerminal() {
  let bytes: [UInt8] = [0x41, 0x1b, 0x5b, 0x0a, 0x09, 0x7f, 0xe2, 0x96]
  #expect(Generate.shown(bytes, onTerminal: true) == [0x41, 0x5b, 0x0a, 0x09, 0xe2, 0x96])
  #expect(Generate.shown(bytes, onTerminal: false) == bytes)
}

@Test func aReaderThatGoesAwayEndsTheProgramQuietly() {
  let console = Console(facts: Console.Facts()) { stream, _ in stream == .output ? 32 : 0 }
  #expect(QConvert.run(["plugins"], plugins: [], console: console) == 141)
  #expect(QConvert.run(["--help"], plugins: [], console: console) == 141)
}

@Test func aFullDiskUnderStandardOutputIsAnError() {
  let capture = Capture()
  let through = capture.console()
  let console = Console(facts: Console.Facts()) { stream, bytes in
    if stream == .output { return 28 }
    through.line(String(decoding: bytes.dropLast(), as: UTF8.self))
    return 0
  }
  #expect(QConvert.run(["plugins"], plugins: [], console: console) == 74)
  #expect(capture.error.contains("[output.stdout]"))
}

@Test func aMethodThatIsAboutASchemeBringsIt() throws {
  let folder = TemporaryFolder(), model = SharedData.fixture("models/tiny-llama")
  for (arguments, scheme) in [(["-p", "zeroquant"], "zeroquant-w4a8"), (["-p", "zeroquant", "--scheme", "w8a8"], "w8a8"), ([], "w4a16")] {
    let capture = Capture()
    let line = [model, folder.file("out"), "--dump-recipe", "--json"] + arguments
    #expect(QConvert.run(line, plugins: QConvert.builtIn, console: capture.console()) == 0)
    let recipe = try JSON.parse(ByteView(Array(capture.output.utf8)))["recipe"]
    #expect(recipe?["scheme"]?.stringValue == scheme)
  }
}
