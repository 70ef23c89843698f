import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

private func recipe(_ yaml: String) throws -> Recipe {
  var recipe = Recipe()
  try RecipeFile.read(text: yaml, into: &recipe)
  return recipe
}

@Suite struct RecipeAliasTests {
  @Test func aliasesAreBounded() throws {
    #expect(try recipe("scheme: &a q8_0\noutput_scheme: *a\n").conversion.scheme == "q8_0")
    let levels = (1...6).map { "a\($0): &a\($0) [\(Array(repeating: "*a\($0 - 1)", count: 9).joined(separator: ", "))]" }
    let failure = #expect(throws: Failure.self) { try recipe("a0: &a0 [x]\n" + levels.joined(separator: "\n")) }
    #expect(failure?.id == "recipe.malformed" && failure?.message.contains("aliases") == true)
    // Globs are no aliases.
    #expect(!YAMLAliases.isExcessive(Array(repeating: "- '*.ffn_down.*=q6_k'\n- *.x\n* item\n", count: 30).joined()))
  }
}

private func said(_ arguments: [String]) throws -> Recipe {
  try #require(QConvert.parse(arguments) as? Convert).conversion.said()
}

/// Every setting, with a value that is not its default.
private let complete = """
  input: model
  output: out.gguf
  from: huggingface
  to: gguf
  scheme: q4_k_m
  output_scheme: q8_0
  embedding_scheme: keep
  pure: true
  search: best
  quality: best
  target_size: 5GB
  target_bpw: 4.5
  target_kld: 0.02
  prefer: [q4_k, q6_k]
  analysis: a.json
  methods:
    - awq: {clip: off, grid: 10}
    - gptq
  tensors:
    - "*.ffn_down.*": q6_k
    - 're:^output=x': q8_0
  adapters: [first, second: 0.5, "c:d": 1]
  base: model
  keep: blk.0.*
  drop: v_head.*
  tensor_types: [attn_v=q8_0]
  metadata:
    set: ["general.name=str:a: b"]
    drop: [general.url]
  calibration:
    files: [a.txt, b.txt]
    samples: 7
    context: 64
    seed: 18446744073709551615
    bos: off
    propagate: quantized
    true_sequential: true
    products: bf16
    stats: s.stats
  importance: i.gguf
  include_weights: attn
  exclude_weights: [ffn_down, token_embd]
  drop_blocks: [3, 1]
  activations: int8-token
  kv_cache: fp8
  packing: awq
  mmproj: true
  mtp: alone
  client: vllm@0.11
  calibrator: entropy
  config: c.json
  tokenizer: t
  pre_tokenizer: qwen2
  allow_nonfinite: true
  allow_requantize: true
  shard_size: 2GB
  keep_split: true
  force: true
  resume: true
  evaluation:
    text: e.txt
    context: 128
    windows: 4
  gates:
    - kld.mean > 0.02
    - size.bytes>=5000000
  keep_rejected: true
  report: r.json
  """

/// A recipe with every setting.
func completeRecipe() throws -> Recipe { try recipe(complete) }

private let completeCommandLine = [
  "model", "out.gguf", "--from", "huggingface", "--to", "gguf", "--scheme", "q4_k_m", "--pure", "--search", "best", "--quality", "best",
  "--target-size", "5GB", "--target-bpw", "4.5", "--target-kld", "0.02", "--prefer", "q4_k,q6_k", "--analysis", "a.json",
  "-p", "awq:clip=off,grid=10", "-p", "gptq",
  "--output-tensor-type", "Q8_0", "--embedding-scheme", "keep", "--keep", "blk.0.*", "--drop", "v_head.*", "--tensor-type", "attn_v=q8_0",
  "--set-meta", "general.name=str:a: b", "--drop-meta", "general.url", "--keep-split",
  "--tensor", "*.ffn_down.*=q6_k", "--tensor", "re:^output=x=q8_0", "--lora", "first", "--lora", "second:0.5", "--lora", "c:d:1", "--base",
  "model", "--calibration", "a.txt", "--calibration", "b.txt", "--samples", "7",
  "--context", "64", "--seed", "18446744073709551615", "--bos", "off", "--propagate", "quantized", "--true-sequential",
  "--products", "bf16", "--stats", "s.stats", "--importance", "i.gguf",
  "--include-weights", "attn", "--exclude-weights", "ffn_down", "--exclude-weights", "token_embd", "--prune-layers", "3,1",
  "--activations", "int8-token", "--kv-cache", "fp8",
  "--packing", "awq", "--mmproj", "--mtp", "alone", "--for", "vllm@0.11",
  "--calibrator", "entropy", "--resume", "--config", "c.json", "--tokenizer", "t", "--pre", "qwen2",
  "--allow-nonfinite", "--allow-requantize", "--shard-size", "2GB", "--force",
  "--eval-text", "e.txt", "--eval-context", "128", "--eval-windows", "4", "--fail-if", "kld.mean > 0.02", "--fail-if",
  "size.bytes >= 5000000", "--keep-rejected", "--report", "r.json",
]

@Test func aRecipeSaysWhatTheCommandLineSays() throws {
  let written = try recipe(complete), typed = try said(completeCommandLine)
  #expect(written.document == typed.document)
  #expect(written.conversion.methods.map { $0.id } == ["awq", "gptq"])
  #expect(written.conversion.methods.first?.options == ["clip": "off", "grid": "10"])
  #expect(written.conversion.tensorRules == ["*.ffn_down.*=q6_k", "re:^output=x=q8_0"])
  #expect(written.conversion.adapters == [.init(path: "first"), .init(path: "second", factor: 0.5), .init(path: "c:d")])
  #expect(written.conversion.calibration.seed == .max && written.conversion.calibration.bos == false)
  #expect(written.conversion.shardSize == 2_000_000_000)
}

@Test func optionsOfLlamaQuantizeMeanWhatTheyMeanThere() throws {
  let said = try said([
    "a", "b", "--leave-output-tensor", "--token-embedding-type", "F16", "--imatrix", "i", "--split-max-size", "2G",
    "--prune-layers", "4,5", "--exclude-weights", "attn_k", "--override-kv", "a.b=int:-3",
    "--override-kv", "a.c=float:0.5", "--override-kv", "a.d=str:x=int:y",
  ]).conversion
  #expect(said.outputScheme == "keep" && said.embeddingScheme == "f16" && said.importancePath == "i")
  #expect(said.shardSize == 2_000_000_000)
  #expect(said.droppedBlocks == [4, 5] && said.excludedImportance == ["attn_k"] && said.includedImportance.isEmpty)
  #expect(said.metadataValues == ["a.b=u32:3", "a.c=f32:0.5", "a.d=str:x=int:y"])
}

@Test func everySettingIsInTheTestAboveWithAValueOfItsOwn() throws {
  let written = try recipe(complete), untouched = Recipe()
  for setting in Setting.all {
    #expect(setting.value(written) != nil && setting.value(written) != setting.value(untouched), "\(setting.key)")
  }
}

@Test func aDumpedRecipeReadsBackAsItself() throws {
  for original in [try recipe(complete), Recipe()] {
    let text = original.document.yaml
    let again = try recipe(text)
    #expect(again.document == original.document)
    #expect(again.document.yaml == text)
    // The recorded form is one line of JSON, and JSON is YAML.
    #expect(try recipe(original.document.text()).document == original.document)
  }
}

@Test func theCommandLineOverridesTheRecipe() throws {
  let folder = TemporaryFolder()
  writeFile(folder.file("r.yaml"), Array(complete.utf8))
  let found = try said(["other", "--recipe", folder.file("r.yaml"), "--samples", "9", "-p", "rtn", "--no-force", "--no-report"])
  #expect(found.conversion.input == "other" && found.conversion.output == "out.gguf")
  #expect(found.conversion.calibration.samples == 9 && found.conversion.calibration.context == 64)
  #expect(found.conversion.methods.map { $0.id } == ["rtn"], "a list replaces the recipe's")
  #expect(!found.conversion.force && found.conversion.isPure)
  #expect(found.report == ReportPlace.none)
}

@Test func defaultsAreResolved() throws {
  let registry = try Registry(QConvert.builtIn)
  let found = try said(["in", "out.gguf", "-p", "awq:clip=off"]).resolved(registry, opened: nil)
  #expect(found.conversion.toFormat == "gguf")
  #expect(found.conversion.scheme == "q4_k_m")
  #expect(
    found.conversion.methods.first?.options == [
      "clip": "off", "scale": "on", "sites": "all", "grid": "20", "duo": "on", "search": "target", "importance": "on",
    ])
  #expect(try found.resolved(registry, opened: nil).document == found.document)
}

@Test func aLevelOfQualityBecomesItsMethods() throws {
  let registry = try Registry(QConvert.builtIn)
  func methods(_ level: String) throws -> [(id: String, options: [String: String])] {
    let found = try said(["in", "out.gguf", "--quality", level]).resolved(registry, opened: nil)
    #expect(found.quality == nil)
    return found.conversion.methods
  }
  #expect(try methods("fast").isEmpty)
  #expect(try methods("good").map(\.id) == ["awq", "gptq"])
  let best = try methods("best")
  #expect(best.map(\.id) == ["awq", "gptq"] && best.last?.options["refine"] == "6" && best.last?.options["damp"] == "0.01")
}

@Test func channelsAreScaledBeforeFeedbackWhereTheyAreLoud() throws {
  let registry = try Registry(QConvert.builtIn)
  func chain(_ arguments: String...) throws -> [String] {
    let found = try said(["in", "out.gguf"] + arguments).resolved(registry, opened: nil)
    #expect(try found.resolved(registry, opened: nil).document == found.document)
    return found.conversion.methods.map { $0.id + ($0.options["sites"].map { ":" + $0 } ?? "") }
  }
  #expect(try chain("-p", "gptq") == ["awq:loud", "gptq"])
  #expect(try chain("-p", "gptq:scale=off") == ["gptq"])
  #expect(try chain("-p", "awq", "-p", "gptq") == ["awq:all", "gptq"])
  #expect(try chain("-p", "smoothquant", "-p", "gptq") == ["smoothquant", "gptq"])
  #expect(try chain("-p", "gptq", "-p", "lorc") == ["awq:loud", "gptq", "lorc"])
  // What types cost is measured on the weights as they are.
  #expect(try chain("-p", "gptq", "--target-bpw", "4") == ["gptq"])
}

@Test func whatIsRecordedHasNoPaths() throws {
  let text = try recipe(complete).recorded.text()
  for path in ["model", "out.gguf", "a.txt", "c.json", "e.txt", "r.json"] { #expect(!text.contains("\"\(path)\""), "\(path)") }
  #expect(text.contains("\"clip\":\"off\"") && text.contains("\"samples\":7"))
}

@Test(arguments: [
  ("scheem: q4_k", "recipe.unknown-key", "line 1: unknown key 'scheem'", "Did you mean 'scheme'?"),
  ("a: 1", "recipe.unknown-key", "line 1: unknown key 'a'", "Known: input, output"),
  ("calibration:\n  smaples: 3", "recipe.unknown-key", "line 2: unknown key 'calibration.smaples'", "Did you mean 'samples'?"),
  ("scheme: q4_k\n\ncalibration:\n  samples: many", "usage.value", "line 4: 'calibration.samples' is 'many'", "1 to 1000000"),
  ("calibration:\n  samples: [1, 2]", "usage.value", "line 2: 'calibration.samples' is a list", "whole number"),
  ("calibration: 3", "recipe.malformed", "line 1: 'calibration' must be a table of keys", ""),
  ("pure: maybe", "usage.value", "line 1: 'pure' is 'maybe'", "true or false"),
  ("calibration: {bos: sometimes}", "usage.value", "line 1: 'calibration.bos' is 'sometimes'", "auto or on or off"),
  ("methods:\n  - awq: [clip]", "usage.value", "line 2: 'methods' is a table of keys", "the name of a method"),
  ("methods:\n  - 'awq:clip'", "plugin.syntax", "line 2: 'methods': ", "awq:clip=off"),
  ("gates:\n  - kld.mena > 1", "gate.unknown-key", "line 2: 'gates': unknown figure 'kld.mena'", "Did you mean 'kld.mean'"),
  ("shard_size: huge", "usage.size", "line 1: 'shard_size' 'huge'", "5GB"),
  ("- awq", "recipe.malformed", "line 1: a recipe must be a table of keys", ""),
  ("scheme: a\nscheme: b", "recipe.key-twice", "'scheme' is given twice", ""),
  ("scheme: [a\n", "recipe.malformed", "is not YAML", ""),
])
func aMistakeIsNamedWithItsLine(_ yaml: String, _ id: String, _ message: String, _ remedy: String) throws {
  let failure = try #require(throws: Failure.self) { try recipe(yaml) }
  #expect(failure.kind == .config)
  #expect(failure.id == id)
  #expect(failure.message.contains(message), "\(failure.message)")
  #expect(remedy.isEmpty || failure.remedy?.description.contains(remedy) == true, "\(failure.remedy?.description ?? "")")
}

@Test func emptyValuesSayNothing() throws {
  for text in ["", "# nothing\n", "scheme:\ncalibration:\nmethods:\n"] { #expect(try recipe(text).document == Recipe().document) }
  #expect(try recipe("methods:\n  - awq:\n").conversion.methods.map { $0.id } == ["awq"])
}

@Test(arguments: [String(repeating: "[", count: 100_000), String(repeating: "- ", count: 100_000), String(repeating: "? ", count: 50_000)])
func depthIsBounded(_ text: String) {
  #expect(throws: Failure.self) { try recipe(text) }
}

@Test func aRecipeThatIsMissingOrNotTextIsAnError() throws {
  let folder = TemporaryFolder()
  writeFile(folder.file("r.yaml"), [0xff, 0xfe, 0x00])
  let failure = try #require(throws: Failure.self) { try said(["--recipe", folder.file("r.yaml")]) }
  #expect(failure.kind == .config && failure.file == folder.file("r.yaml"))
  let missing = try #require(throws: Failure.self) { try said(["--recipe", folder.file("none.yaml")]) }
  #expect(missing.kind == .noInput)
}

@Test func textsThatOtherReadersMightMistakeAreQuoted() {
  let words = ["plain/path_1.gguf", "no", "Off", "1.5", "*glob*", "re:^a", "a b", "", "-", "~", "null", "ä"]
  let yaml = JSON.array(words.map { .string($0) }).yaml
  #expect(
    yaml == """
      - plain/path_1.gguf
      - "no"
      - "Off"
      - "1.5"
      - "*glob*"
      - "re:^a"
      - "a b"
      - ""
      - "-"
      - "~"
      - "null"
      - "ä"

      """)
}

/// The first YAML code block of the page.
private func documentedRecipe() throws -> String {
  let page = String(decoding: readFile(SharedData.fixture("../../Docs/recipes.md")), as: UTF8.self)
  return try #require(page.firstMatch(of: /```yaml\n((?:.*\n)*?)```/)).output.1.description
}

@Test func theDocumentedRecipeRunsFromItsFile() throws {
  let folder = TemporaryFolder()
  let fixture = SharedData.fixture("text/evaluation.txt")
  let text = try documentedRecipe().replacing("calibration.txt", with: fixture).replacing("test.txt", with: fixture)
  writeFile(folder.file("r.yaml"), Array(text.utf8))
  let capture = Capture()
  let code = QConvert.run(
    ["--recipe", folder.file("r.yaml"), SharedData.fixture("models/tiny-llama"), folder.file("m.gguf"), "--progress", "none"],
    plugins: QConvert.builtIn, console: capture.console())
  #expect(code == 0, "\(capture.error)")
  let report = try Converted(folder.file("m.gguf.qconvert.json"))
  #expect(report["blk.0.ffn_down.weight"] == "q6_k" && report["output.weight"] == "q8_0")
}

/// Schemes by tensor, from a result document.
private struct Converted {
  private let tensors: [JSON]

  init(_ path: String) throws { tensors = try JSON.parse(ByteView(readFile(path)))["tensors"]?.arrayValue ?? [] }

  subscript(name: String) -> String? { tensors.first { $0["name"]?.stringValue == name }?["scheme"]?.stringValue }
}

@Test func theTableOfTheManualHasEveryKeyAndOption() {
  let page = String(decoding: readFile(SharedData.fixture("../../Docs/recipes.md")), as: UTF8.self)
  let commands = String(decoding: readFile(SharedData.fixture("../../Docs/commands.md")), as: UTF8.self)
  for setting in Setting.all {
    #expect(page.contains("`\(setting.key)`"), "\(setting.key)")
    #expect(page.contains(setting.option), "\(setting.option)")
    #expect(commands.contains(setting.option), "\(setting.option)")
  }
}
