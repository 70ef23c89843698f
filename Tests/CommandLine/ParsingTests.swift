import QuantCore
import Testing

@testable import QConvertKit

private func parsed<Command>(_ arguments: String..., as type: Command.Type = Command.self) throws -> Command {
  try #require(QConvert.parse(arguments) as? Command)
}

@Test func withoutACommandConvertIsMeant() throws {
  let convert: Convert = try parsed("model", "out.gguf")
  let request = try convert.conversion.said().request(threads: 3, isEncoder: false)
  #expect(request.input == "model")
  #expect(request.output == "out.gguf")
  #expect(request.methods.isEmpty)
  #expect(request.scheme == nil)
  #expect(request.calibration == CalibrationRequest())
  #expect(!request.isPure && !request.force && !request.allowNonfinite && !request.allowRequantize)
  #expect(request.shardSize == nil)
  #expect(request.threads == 3)
}

@Test func everyConversionOptionReachesTheRequest() throws {
  let convert: Convert = try parsed(
    "convert", "in", "out", "-p", "awq:clip=off,grid=20", "--plugin", "rtn", "--scheme", "q4_k_m", "--tensor", "*.down.*=q6_k",
    "--tensor", "re:^output=q8_0", "--pure", "--from", "safetensors", "--to", "gguf", "--force", "--calibration", "a.txt",
    "--calibration", "b.txt", "--samples", "7", "--context", "64", "--seed", "18446744073709551615", "--bos", "off", "--config",
    "c.json", "--tokenizer", "t", "--pre", "qwen2", "--allow-nonfinite", "--allow-requantize", "--shard-size", "2GB")
  let request = try convert.conversion.said().request(threads: 1, isEncoder: false)
  #expect(request.methods.map { $0.id } == ["awq", "rtn"])
  #expect(request.methods.first?.options == ["clip": "off", "grid": "20"])
  #expect(request.scheme == "q4_k_m")
  #expect(request.tensorRules == ["*.down.*=q6_k", "re:^output=q8_0"])
  #expect(request.fromFormat == "safetensors")
  #expect(request.toFormat == "gguf")
  #expect(request.calibration.files == ["a.txt", "b.txt"])
  #expect(request.calibration.samples == 7)
  #expect(request.calibration.context == 64)
  #expect(request.calibration.seed == .max)
  #expect(request.calibration.bos == false)
  #expect(request.configPath == "c.json")
  #expect(request.tokenizerPath == "t")
  #expect(request.preTokenizer == "qwen2")
  #expect(request.isPure && request.force && request.allowNonfinite && request.allowRequantize)
  #expect(request.shardSize == 2_000_000_000)
}

@Test func sharedOptionsMayStandBeforeTheCommand() throws {
  let plan: PlanCommand = try parsed("--json", "-j", "2", "--color=never", "plan", "in", "out")
  #expect(plan.global.json)
  #expect(try plan.global.threadCount() == 2)
  #expect(plan.global.color == .never)
  #expect(CommandOrder.commandFirst(["--json", "in", "out"]) == ["--json", "in", "out"])
  #expect(CommandOrder.commandFirst(["in", "plan"]) == ["in", "plan"])
  #expect(CommandOrder.commandFirst(["-q", "plugin", "new", "mine"]) == ["plugin", "new", "-q", "mine"])
  #expect(CommandOrder.commandFirst(["--threads"]) == ["--threads"])
}

@Test func theOtherCommandsTakeTheirOptions() throws {
  let inspect: Inspect = try parsed("inspect", "m.gguf", "--from", "gguf", "-q")
  #expect(inspect.path == "m.gguf" && inspect.from == "gguf" && inspect.global.quiet)
  let eval: Evaluate = try parsed(
    "eval", "m", "--text", "t.txt", "--reference", "r", "--protocol", "llama.cpp", "--context", "256", "--windows", "4", "--bos", "on")
  #expect(eval.model == "m" && eval.text == "t.txt" && eval.reference == "r")
  #expect(eval.scoring.value == .llamaCpp && eval.context == 256 && eval.windows == 4)
  #expect(eval.options.text.bos.value == true)
  let generate: Generate = try parsed("generate", "m", "--prompt", "Once", "--tokens", "5")
  #expect(generate.prompt == "Once" && generate.tokens == 5)
  let _: PluginList = try parsed("plugins", "--json")
}

@Test(arguments: [
  ["in", "out", "more"], ["in", "out", "--nonsense"], ["eval", "m"], ["in", "out", "--samples", "many"],
  ["in", "out", "--bos", "maybe"],
])
func aCommandLineThatCannotBeParsedIsWrongUsage(_ arguments: [String]) throws {
  let failure = try #require(throws: Failure.self) { try QConvert.parse(arguments) }
  #expect(failure.kind == .usage)
  #expect(failure.id == "usage.arguments")
  #expect(!failure.message.contains("\n"))
}

@Test(arguments: [[], ["in"]])
func withoutInputAndOutputThereIsNothingToConvert(_ arguments: [String]) throws {
  let convert = try #require(QConvert.parse(arguments) as? Convert)
  let failure = try #require(throws: Failure.self) { try convert.conversion.said().request(threads: 1, isEncoder: false) }
  #expect(failure.kind == .usage && failure.id == "usage.arguments")
  #expect(failure.message == "missing expected argument '<\(arguments.isEmpty ? "IN" : "OUT")>'")
}

@Test(arguments: [["--samples", "0"], ["--context", "1"], ["--shard-size", "0"], ["--plugin", "awq:clip"]])
func valuesOutOfRangeAreWrongUsage(_ options: [String]) throws {
  let convert = try #require(QConvert.parse(["in", "out"] + options) as? Convert)
  let failure = try #require(throws: Failure.self) { try convert.conversion.said().request(threads: 1, isEncoder: false) }
  #expect(failure.kind == .usage)
  #expect(failure.remedy != nil)
}

@Test func threadsDefaultToTheCores() throws {
  let convert: Convert = try parsed("in", "out")
  #expect(try convert.global.threadCount() >= 1)
  let none: Convert = try parsed("in", "out", "-j", "0")
  #expect(throws: Failure.self) { try none.global.threadCount() }
}

@Test func pluginStringsNameTheMethodAndItsOptions() throws {
  #expect(try PluginArgument("rtn") == PluginArgument("rtn"))
  let awq = try PluginArgument("awq:clip=off,grid=20")
  #expect(awq.id == "awq" && awq.options == ["clip": "off", "grid": "20"])
  // Only the first colon and the first equals sign separate: values may hold both.
  #expect(try PluginArgument("m:path=a:b=c").options == ["path": "a:b=c"])
}

@Test(arguments: ["", ":a=b", "awq:", "awq:clip", "awq:=off", "awq:clip=", "awq:clip=off,", "awq:a=1,a=2"])
func malformedPluginStringsAreRefused(_ text: String) throws {
  let failure = try #require(throws: Failure.self) { try PluginArgument(text) }
  #expect(failure.kind == .usage)
}

@Test(arguments: [
  ("1", 1), ("1000000", 1_000_000), ("5GB", 5_000_000_000), ("5g", 5_000_000_000), ("512MiB", 536_870_912), ("1.5K", 1500), ("2KiB", 2048),
])
func sizesAreReadWithTheirUnits(_ text: String, _ bytes: Int) throws {
  #expect(try ByteSize.parse(text, option: "--shard-size") == bytes)
}

@Test(arguments: ["", "GB", "0", "0.2", "-5", "5XB", "5 GB", "1e9", "1.2.3", "99999999999T", "٣GB"])
func malformedSizesAreRefused(_ text: String) throws {
  let failure = try #require(throws: Failure.self) { try ByteSize.parse(text, option: "--shard-size") }
  #expect(failure.id == "usage.size")
}
