import QuantCore
import QuantPlatform
import TestSupport
import Testing

@testable import QConvertKit

@Test(arguments: [
  ("kld.mean>0.02", 0.03, true), ("kld.mean > 0.02", 0.02, false), (" kld.mean >= 2e-2 ", 0.02, true), ("top1<0.9", 0.8, true),
  ("top1 < 0.9", 0.9, false), ("top1<=0.9", 0.9, true), ("kld.max > 1", .nan, true), ("kld.max < 1", .nan, true),
  ("kld.max >= 1", .nan, true), ("kld.max <= 1", .infinity, false),
])
func aGateRefusesWhatItSays(_ text: String, _ value: Double, _ isRejected: Bool) throws {
  #expect(try Gate(text).rejects(value) == isRejected)
}

@Test(arguments: [
  "", "kld.mean", "kld.mean = 3", "> 3", "kld.mean > x", "kld.mean > nan", "kld.mean > inf", "kld.mean >> 3", "kld.mean > 3 > 2",
])
func malformedConditionsAreUsageErrors(_ text: String) throws {
  let failure = try #require(throws: Failure.self) { try Gate(text) }
  #expect(failure.kind == .usage)
}

@Test func anUnknownKeyIsAnsweredWithTheKnownOnes() throws {
  let failure = try #require(throws: Failure.self) { try Gate("kld > 3") }
  #expect(failure.id == "gate.unknown-key")
  for key in ["perplexity", "kld.mean", "kld.median", "kld.p99", "kld.max", "top1", "size.bytes", "bits-per-weight"] {
    #expect(failure.remedy?.description.contains(key) == true)
    #expect(try Gate("\(key) > 1").description == "\(key) > 1")
  }
}

@Test func aFailureNamesEachGateWithItsValue() throws {
  let gates = try ["size.bytes > 100", "bits-per-weight >= 9", "bits-per-weight > 4.5", "kld.mean > 0"].map { try Gate($0) }
  let failure = try #require(Gate.failure(of: gates, Measurements(byteCount: 101, bitsPerWeight: 4.75)))
  #expect(failure.kind.rawValue == 10)
  #expect(
    failure.message
      == "rejected: size.bytes is 101, and the gate is 'size.bytes > 100'; bits-per-weight is 4.7500, and the gate is 'bits-per-weight > 4.5'"
  )
  #expect(Gate.failure(of: gates, Measurements(byteCount: 100, bitsPerWeight: 4)) == nil)
}

/// Whole runs of the program.
@Suite struct GatedConversionTests {
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")
  private let text = SharedData.fixture("text/evaluation.txt")

  private func run(_ arguments: [String]) -> (code: Int32, capture: Capture) {
    let capture = Capture()
    let code = QConvert.run(arguments + ["--progress", "none"], plugins: QConvert.builtIn, console: capture.console())
    return (code, capture)
  }

  private func document(_ bytes: [UInt8]) throws -> JSON { try JSON.parse(ByteView(bytes)) }

  private var evaluated: [String] { ["--scheme", "q4_0", "--eval-text", text, "--eval-windows", "2", "--eval-context", "64"] }

  @Test func aResultThatFailsAGateLeavesNothingButItsReport() throws {
    let output = folder.file("out/m.gguf"), report = folder.file("report.json")
    #expect(mkdir(folder.file("out"), 0o777) == 0)
    let (code, capture) = run([model, output, "--fail-if", "kld.mean > 0.0001", "--report", report] + evaluated)
    #expect(code == 10)
    #expect(capture.error.hasPrefix("error: rejected: kld.mean is 0."))
    #expect(capture.error.split(separator: "\n").count == 1)
    #expect(try Files.list(folder.file("out")).isEmpty)
    let result = try document(readFile(report))
    #expect(result["ok"]?.boolValue == false)
    #expect(result["error"]?["id"]?.stringValue == "gate.failed")
    #expect(result["gates"]?.arrayValue?.first?["passed"]?.boolValue == false)
    #expect(result["tensors"]?.arrayValue?.count == 75)
  }

  @Test func aGateOnTheSizeIsHeldBeforeAnythingIsConverted() throws {
    let (code, capture) = run([model, folder.file("m"), "--scheme", "w4a16", "--fail-if", "size.bytes>1000", "--json"])
    #expect(code == 10)
    #expect(capture.error.isEmpty)
    #expect(try document(Array(capture.output.utf8))["error"]?["kind"]?.stringValue == "gate")
    #expect(!Files.exists(folder.file("m")) && !Files.exists(folder.file("m.qconvert.json")))
  }

  @Test func theResultDocumentHasEveryKey() throws {
    let output = folder.file("m.gguf")
    let (code, capture) = run(
      [model, output, "-p", "gptq", "--samples", "4", "--context", "64", "--json", "--fail-if", "top1 < 0.1"] + evaluated)
    #expect(code == 0, "\(capture.error)")
    #expect(capture.output == String(decoding: readFile(output + ".qconvert.json"), as: UTF8.self))
    let result = try document(Array(capture.output.utf8))
    let keys = [
      "ok", "version", "input", "output", "from", "to", "family", "bytes", "bits_per_weight", "seconds", "cpu_seconds",
      "peak_memory_bytes", "threads", "recipe", "recipe_xxh3_128", "inputs", "expected_kld", "calibration", "evaluation", "gates",
      "tensors", "notes",
      "warnings",
    ]
    #expect(result.objectValue?.map { $0.key } == keys)
    #expect(result["bytes"]?.intValue == readFile(output).count)
    let tensor = try #require(result["tensors"]?.arrayValue?.first { $0["name"]?.stringValue == "blk.0.ffn_up.weight" })
    #expect(tensor["scheme"]?.stringValue == "q4_0" && tensor["packing"]?.stringValue == "gguf")
    #expect((tensor["relative_error"]?.doubleValue ?? 1) < 0.2 && tensor["damping"]?.doubleValue == 0.01)
    #expect(tensor["seconds"]?.doubleValue ?? 0 > 0)
    let opened = try Opening(Registry(QConvert.builtIn)).open(output)
    let recorded = try #require(opened.metadata["qconvert.recipe"]?.stringValue)
    #expect(opened.metadata["qconvert.recipe_xxh3_128"]?.stringValue == result["recipe_xxh3_128"]?.stringValue)
    #expect(recorded.contains("\"methods\":[{\"awq\":{") && recorded.contains("{\"gptq\":{") && !recorded.contains("/"))
    // The recipe in the document makes the same file again.
    let again = try #require(result["recipe"]).yaml.replacing("m.gguf", with: "again/m.gguf")
    writeFile(folder.file("r.yaml"), Array(again.utf8))
    #expect(mkdir(folder.file("again"), 0o777) == 0)
    #expect(run(["--recipe", folder.file("r.yaml")]).code == 0)
    #expect(readFile(folder.file("again/m.gguf")) == readFile(output))
  }

  @Test func theReportIsNeverInTheWayOfSomethingElse() throws {
    writeFile(folder.file("precious"), [1])
    for report in ["precious", "m.gguf"] {
      let (code, _) = run([model, folder.file("m.gguf"), "--scheme", "q4_0", "--report", folder.file(report)])
      #expect(code == (report == "precious" ? 73 : 64))
      #expect(!Files.exists(folder.file("m.gguf")))
    }
    #expect(readFile(folder.file("precious")) == [1])
    #expect(run([model, folder.file("m.gguf"), "--scheme", "q4_0", "--no-report"]).code == 0)
    #expect(!Files.exists(folder.file("m.gguf.qconvert.json")))
  }

  @Test func everyKindOfOutputCanBeEvaluatedBeforeItHasItsName() {
    for output in ["m.gguf", "m", "m.safetensors"] {
      let scheme = output == "m.safetensors" ? "bf16" : output == "m" ? "w4a16" : "q8_0"
      let (code, capture) = run([model, folder.file(output)] + evaluated + ["--scheme", scheme, "--fail-if", "kld.mean>5", "--force"])
      #expect(code == 0, "\(output): \(capture.error)")
    }
  }

  @Test func whatCannotBeEvaluatedIsSaidBeforeTheConversion() {
    writeFile(folder.file("short.txt"), Array("word".utf8))
    for (arguments, code) in [
      (["--eval-text", folder.file("none.txt")], Int32(66)), (["--eval-text", folder.file("short.txt")], 65),
      (["--fail-if", "kld.mean>1"], 64),
    ] {
      let (found, _) = run([model, folder.file("m.gguf"), "--scheme", "q4_0"] + arguments)
      #expect(found == code)
      #expect(!Files.exists(folder.file("m.gguf")))
    }
    #expect(run(["eval", model, "--text", text, "--fail-if", "kld.mean>1"]).code == 64)
  }

  @Test func evalHasGatesToo() throws {
    let arguments = ["eval", model, "--text", text, "--windows", "1", "--context", "64"]
    #expect(run(arguments + ["--fail-if", "perplexity > 100000"]).code == 0)
    let (code, capture) = run(arguments + ["--fail-if", "perplexity > 1", "--json"])
    #expect(code == 10)
    let result = try document(Array(capture.output.utf8))
    #expect(result["perplexity"]?.doubleValue ?? 0 > 1 && result["error"]?["id"]?.stringValue == "gate.failed")
  }
}
