import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

/// What calibrated methods do with little or no usable calibration text.
@Suite struct CalibrationProblemsTests {
  private let folder = TemporaryFolder()
  private let llama = SharedData.fixture("models/tiny-llama")

  private func run(_ arguments: [String]) throws -> (code: Int32, document: JSON, error: String) {
    let capture = Capture()
    let code = QConvert.run(arguments + ["--json", "--progress", "none"], plugins: QConvert.builtIn, console: capture.console())
    return (code, try JSON.parse(ByteView(Array(capture.output.utf8))), capture.error)
  }

  private func text(_ content: String) -> String {
    writeFile(folder.file("text.txt"), Array(content.utf8))
    return folder.file("text.txt")
  }

  private func checkpoint(_ path: String) throws -> Checkpoint { try Opening(Registry(QConvert.builtIn)).open(path) }

  /// The fallback of each tensor that has one.
  private func fallbacks(_ document: JSON) -> [String: String] {
    let tensors = (document["tensors"]?.arrayValue ?? []).compactMap { tensor in
      tensor["fallback"]?.stringValue.map { (tensor["name"]?.stringValue ?? "", $0) }
    }
    return Dictionary(tensors) { first, _ in first }
  }

  // MARK: Little text

  @Test(arguments: ["", "a"], ["convert", "calibrate"]) func textOfLessThanTwoTokensIsRefused(_ content: String, _ command: String) throws {
    let output = folder.file("out.gguf")
    let method = command == "convert" ? ["-p", "awq"] : []
    let (code, document, _) = try run([command, llama, output, "--calibration", text(content), "--bos", "off"] + method)
    #expect(code == 65 && document["error"]?["id"]?.stringValue == "calibration.empty")
    #expect(try Files.list(folder.path) == ["text.txt"])
  }

  @Test func shortTextIsOneShortWindowAndAWarning() throws {
    let words = text("A text of some words, fewer than a window holds.")
    let (code, document, _) = try run([llama, folder.file("out.gguf"), "-p", "awq:grid=2", "--calibration", words])
    #expect(code == 0 && document["calibration"]?["windows"]?.intValue == 1)
    let context = try #require(document["calibration"]?["context"]?.intValue)
    #expect(context > 5 && context < 64)
    let warnings = (document["warnings"]?.arrayValue ?? []).compactMap { $0.stringValue }
    #expect(warnings.contains { $0.contains("\(context) calibration tokens are too few") })
  }

  @Test func feedbackThatWouldFitTheTextAloneIsLeftOutAndNamed() throws {
    let few = ["--samples", "2", "--context", "100"]
    let (code, document, _) = try run([llama, folder.file("few.gguf"), "--scheme", "q4_0", "-p", "gptq"] + few)
    #expect(code == 0)
    let fallbacks = fallbacks(document)
    #expect(
      fallbacks.count == 8 * 7 + 1 && fallbacks["output.weight"] != nil && fallbacks["blk.3.ffn_up.weight"]?.contains("200 tokens") == true)
    #expect(try run([llama, folder.file("plain.gguf"), "--scheme", "q4_0"]).code == 0)
    let few4 = try checkpoint(folder.file("few.gguf")), plain = try checkpoint(folder.file("plain.gguf"))
    // What the embedding's errors cost is known without text.
    for tensor in plain.tensors where tensor.name != "token_embd.weight" {
      #expect(few4[tensor.name]?.storage.verbatim?.bytes == tensor.storage.verbatim?.bytes, "\(tensor.name)")
    }
  }

  /// A window of 40 tokens gives the four experts of a block 80 in all; their inputs have 32 channels.
  @Test(arguments: ["gptq", "awq"], ["folder", "m.gguf"]) func expertsThatSawFewTokensBorrowFromTheirPeers(
    _ method: String, _ output: String
  ) throws {
    let model = try RandomModel.copy("mixtral", into: folder)
    let given = [
      "--scheme", output == "folder" ? "int8-channel" : "q8_0", "--tensor",
      output == "folder" ? "lm_head*=bf16" : "re:^output\\.weight=bf16",
    ]
    func made(_ context: String) throws -> JSON {
      let (code, document, error) = try run(
        [
          model, folder.file(output), "-p", method, "--calibration", text(RandomModel.text), "--samples", "1", "--context", context,
          "--force",
        ]
          + given)
      #expect(code == 0, "\(document["error"]?.text() ?? "") \(error)")
      return document
    }
    let enough = try made("40")
    #expect(fallbacks(enough).isEmpty, "\(fallbacks(enough))")
    var counts: [Int] = []
    for tensor in enough["tensors"]?.arrayValue ?? [] {
      counts += (tensor["expert_tokens"]?.arrayValue ?? []).compactMap { (value: JSON) -> Int? in value.intValue }
    }
    #expect(counts.contains { $0 > 0 && $0 < 32 })
    // Every token visits two experts: per block, three matrices of each.
    let visits = counts.reduce(0, +)
    #expect(visits == 480, "\(counts)")
    // All experts together saw fewer tokens than there are channels.
    let starved = fallbacks(try made("12")).filter { $0.key.contains("exps") || $0.key.contains("experts") }
    #expect(!starved.isEmpty && starved.values.allSatisfy { $0.contains("too few reached all experts together") }, "\(starved)")
  }

  @Test func warningsOfOneKindAreCounted() throws {
    let model = try RandomModel.copy("mixtral", into: folder)
    let (code, _, error) = try run(
      [
        model, folder.file("out"), "--scheme", "int8-channel", "-p", "gptq", "--calibration", text(RandomModel.text), "--samples", "1",
        "--context", "12",
      ])
    #expect(code == 0)
    let lines = error.split(separator: "\n").filter { $0.contains("too few reached all experts together") }
    #expect(lines.count == 2 && lines.last?.contains(" more tensors: ") == true, "\(error)")
  }

  /// Folding into norms does not depend on the expert that a token is routed to, and rounding needs no statistics.
  @Test(arguments: [[], ["-p", "rtn"]] as [[String]]) func smoothingAloneHasNoFallback(_ others: [String]) throws {
    let model = try RandomModel.copy("mixtral", into: folder)
    let given = ["--scheme", "int8-channel", "--calibration", text(RandomModel.text), "--samples", "1", "--context", "8"]
    let (code, document, error) = try run([model, folder.file("out"), "-p", "smoothquant"] + others + given)
    #expect(code == 0 && fallbacks(document).isEmpty && !error.contains("expert"))
    let made = try checkpoint(folder.file("out")), source = try checkpoint(model)
    let gain = "model.layers.0.post_attention_layernorm.weight"
    #expect(made[gain]?.matrix() != source[gain]?.matrix())
  }

  @Test func storedScalesWithoutAnyTokenOfAnExpertAreRefused() throws {
    let model = try RandomModel.copy("mixtral", into: folder)
    let (code, document, _) = try run(
      [model, folder.file("out"), "--scheme", "w8a8-static", "--calibration", text("ab"), "--samples", "1", "--context", "2"])
    #expect(code == 65 && document["error"]?["id"]?.stringValue == "calibration.unseen")
    #expect(!Files.exists(folder.file("out")))
  }

  // MARK: Damaged models

  /// A norm with the largest finite gain of its type: its output is finite only for some channels and tokens.
  @Test(arguments: [["-p", "awq"], ["-p", "gptq"], ["-p", "smoothquant"], ["--scheme", "w8a8-static"], []])
  func activationsThatAreNotFiniteAreNamedWithBlockAndToken(_ arguments: [String]) throws {
    let model = try RandomModel.copy("qwen2", into: folder)
    let shard = model + "/model.safetensors"
    let tensor = try #require(checkpoint(model)["model.layers.1.input_layernorm.weight"])
    let gain = try #require(tensor.storage.verbatim).bytes
    var bytes = readFile(shard)
    let place = try #require(bytes.indices.first { $0 + gain.count <= bytes.count && bytes[$0..<$0 + gain.count].elementsEqual(gain) })
    for channel in 0..<gain.count / 2 { bytes.replaceSubrange(place + 2 * channel..<place + 2 * channel + 2, with: [0x7f, 0x7f]) }
    writeFile(shard, bytes)
    let command = arguments.isEmpty ? ["calibrate", model, folder.file("out.stats")] : [model, folder.file("out")] + arguments
    let scheme = arguments.first == "-p" ? ["--scheme", "int8-channel"] : []
    let (code, document, _) = try run(
      command + scheme + ["--calibration", text(RandomModel.text), "--samples", "2", "--context", "40"])
    #expect(code == 65 && document["error"]?["id"]?.stringValue == "calibrate.nonfinite")
    let message = document["error"]?["message"]?.stringValue ?? ""
    #expect(message.contains("block 1, channel ") && message.contains("attention.input") && message.contains("token "), "\(message)")
    #expect(try Files.list(folder.path).sorted() == ["qwen2", "text.txt"])
  }

  // MARK: Combinations that are refused

  @Test func statisticsAndTextExcludeEachOther() throws {
    let words = text(RandomModel.text), stats = folder.file("model.stats"), model = try RandomModel.copy("llama-biases", into: folder)
    #expect(try run(["calibrate", model, stats, "--calibration", words, "--context", "40", "--samples", "2"]).code == 0)
    let conversion = [model, folder.file("out"), "--scheme", "int8-channel", "-p", "awq", "--stats", stats]
    for other in [["--context", "20"], ["--samples", "4"], ["--calibration", words], ["--seed", "3"]] {
      let (code, document, _) = try run(conversion + other)
      #expect(code == 64 && document["error"]?["id"]?.stringValue == "usage.stats-and-text", "\(other)")
    }
    // The document describes the text of the statistics, not the options' defaults.
    let (code, document, _) = try run(conversion)
    #expect(code == 0 && document["calibration"]?["context"]?.intValue == 40 && document["calibration"]?["windows"]?.intValue == 2)
  }

  @Test(arguments: [
    ("opt-post-norm", "smoothquant", "int8-channel", "method.model"), ("bloom-residual", "smoothquant", "int8-channel", "method.model"),
    ("gpt2", "gptq", "int8-channel", "scheme.transposed"), ("mixtral", "awq", "int4-g128", "scheme.row-length"),
    ("qwen2", "gptq", "q4_0", "packing.none"),
  ]) func whatAFamilyOrASchemeCannotTakeIsRefusedInThePlan(_ name: String, _ method: String, _ scheme: String, _ id: String) throws {
    let model = try RandomModel.copy(name, into: folder)
    for command in [["plan"], []] {
      let (code, document, _) = try run(
        command + [model, folder.file("out"), "-p", method, "--scheme", scheme, "--calibration", text(RandomModel.text)])
      #expect(code == 69 && document["error"]?["id"]?.stringValue == id, "\(document["error"]?.text() ?? "")")
      #expect(document["error"]?["remedy"]?.stringValue?.isEmpty == false && !Files.exists(folder.file("out")))
    }
  }

  @Test(arguments: ["gptq", "awq"], ["f32", "bf16"]) func methodsWithNothingToRoundAreRefusedInThePlan(
    _ method: String, _ scheme: String
  ) throws {
    let model = try RandomModel.copy("qwen2", into: folder)
    let given = ["-p", method, "--scheme", scheme, "--calibration", text(RandomModel.text), "--samples", "1", "--context", "64"]
    for (output, others) in [("out", []), ("out", ["-p", "smoothquant"]), ("out.gguf", ["--tensor", "token_embd.weight=q8_0"])] {
      for command in [["plan"], []] {
        let (code, document, _) = try run(command + [model, folder.file(output)] + given + others)
        #expect(code == 64 && document["error"]?["id"]?.stringValue == "method.unused")
        let message = document["error"]?["message"]?.stringValue ?? ""
        #expect(message.contains("'\(method)'") && message.contains("'\(scheme)'") && !Files.exists(folder.file(output)))
      }
    }
    // One layer of one block is enough.
    #expect(try run([model, folder.file("out"), "--tensor", "re:layers\\.1\\..*up_proj.*=int8-channel"] + given).code == 0)
  }

  @Test func scalesCanBeFoldedIntoAModelThatIsNotRounded() throws {
    let model = try RandomModel.copy("qwen2", into: folder)
    let given = ["--scheme", "f32", "--calibration", text(RandomModel.text), "--samples", "1", "--context", "64"]
    #expect(try run([model, folder.file("out"), "-p", "smoothquant"] + given).code == 0)
  }

  @Test func windowsBeyondTheLastLearnedPositionAreRefusedInThePlan() throws {
    let model = try RandomModel.copy("opt", into: folder), words = text(RandomModel.text)
    func id(_ arguments: [String]) throws -> String? {
      let (code, document, _) = try run(arguments)
      #expect(code == (document["error"] == nil ? 0 : 64))
      return document["error"]?["id"]?.stringValue
    }
    let calibration = ["--calibration", words], given = ["-p", "awq:grid=2", "--scheme", "int8-channel"] + calibration
    for context in ["65", "512"] {
      #expect(try id(["plan", model, folder.file("out")] + given + ["--context", context]) == "model.position-range")
      #expect(try id(["calibrate", model, folder.file("o.stats"), "--context", context] + calibration) == "model.position-range")
      #expect(try id(["eval", model, "--text", words, "--context", context]) == "model.position-range")
    }
    // This fails before hours are spent on the conversion.
    let evaluated = [model, folder.file("out")] + given + ["--context", "64", "--eval-text", words]
    #expect(try id(evaluated) == "model.position-range" && !Files.exists(folder.file("out")))
    #expect(try id(evaluated + ["--eval-context", "64"]) == nil)
  }
}
