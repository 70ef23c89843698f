import TestSupport
import Testing

@testable import QConvertKit
@testable import QuantConversion

/// No setting is silently ignored: each has an effect, or is refused, or a warning says that it has none.
@Suite struct SettingTests {
  private let folder = TemporaryFolder()

  private static let observed = "-p gptq --calibration TEXT --samples 2 --context 32"

  /// For every setting, two command lines that differ only in it. In each, it has an effect or its default.
  private static let effective: [(key: String, first: String, second: String)] = [
    ("input", "F16 a.gguf --scheme q8_0", "PART a.gguf --scheme q8_0"),
    ("output", "MODEL a.gguf", "MODEL b.gguf"),
    ("to", "MODEL a.gguf --scheme bf16", "MODEL a.gguf --scheme bf16 --to safetensors"),
    ("scheme", "MODEL a.gguf --scheme q4_0", "MODEL a.gguf --scheme q8_0"),
    ("output_scheme", "MODEL a.gguf", "MODEL a.gguf --output-scheme q8_0"),
    ("embedding_scheme", "MODEL a.gguf", "MODEL a.gguf --embedding-scheme q8_0"),
    ("target_size", "MODEL a.gguf --analysis ANALYSIS --target-size 5MB", "MODEL a.gguf --analysis ANALYSIS --target-size 5.5MB"),
    ("target_bpw", "MODEL a.gguf --analysis ANALYSIS --target-bpw 5", "MODEL a.gguf --analysis ANALYSIS --target-bpw 6"),
    ("target_kld", "MODEL a.gguf --analysis ANALYSIS --target-kld 0.05", "MODEL a.gguf --analysis ANALYSIS --target-kld 0.01"),
    (
      "prefer", "MODEL a.gguf --analysis ANALYSIS --target-bpw 6", "MODEL a.gguf --analysis ANALYSIS --target-bpw 6 --prefer q8_0,q4_0"
    ),
    ("analysis", "MODEL a.gguf --analysis ANALYSIS --target-bpw 6", "MODEL a.gguf --analysis ANALYSIS2 --target-bpw 6"),
    ("packing", "MODEL out --scheme int4-g128", "MODEL out --scheme int4-g128 --packing gptq"),
    ("client", "MODEL out --scheme w4a16", "MODEL out --scheme w4a16 --for vllm"),
    ("activations", "MODEL out --scheme int8-channel", "MODEL out --scheme int8-channel --activations int8-token"),
    ("activations", "MODEL out --scheme w8a8", "MODEL out --scheme w8a8 --activations none"),
    ("kv_cache", "MODEL out --scheme w4a16 \(observed)", "MODEL out --scheme w4a16 \(observed) --kv-cache fp8"),
    (
      "calibrator", "MODEL out --scheme w4a16 \(observed) --kv-cache fp8",
      "MODEL out --scheme w4a16 \(observed) --kv-cache fp8 --calibrator entropy"
    ),
    ("pure", "MODEL a.gguf --scheme q4_k_m", "MODEL a.gguf --scheme q4_k_m --pure"),
    ("search", "MODEL a.gguf --scheme q4_0", "MODEL a.gguf --scheme q4_0 --search best"),
    ("methods", "MODEL a.gguf --scheme q4_0", "MODEL a.gguf --scheme q4_0 -p gptq"),
    ("methods", "MODEL a.gguf --scheme q4_0 -p gptq", "MODEL a.gguf --scheme q4_0 -p gptq:damp=0.5"),
    ("methods", "MODEL a.gguf --scheme q4_0 -p lorc", "MODEL a.gguf --scheme q4_0 -p lorc:rank=4"),
    ("quality", "MODEL a.gguf --scheme q4_0", "MODEL a.gguf --scheme q4_0 --quality good"),
    ("drop_blocks", "MODEL a.gguf", "MODEL a.gguf --drop-blocks 2"),
    ("adapters", "SMALL out --scheme f32", "SMALL out --scheme f32 --lora ADAPTER"),
    ("base", "ADAPTER a.gguf --base SMALL", "ADAPTER a.gguf --base BASE"),
    ("tensors", "MODEL a.gguf", "MODEL a.gguf --tensor *.ffn_down.*=q6_k"),
    ("keep", "MODEL a.gguf", "MODEL a.gguf --keep *.ffn_down.*"),
    ("drop", "F16 a.gguf --scheme q8_0", "F16 a.gguf --scheme q8_0 --drop output_norm.weight"),
    ("tensor_types", "MODEL a.gguf", "MODEL a.gguf --tensor-type attn_v=q8_0"),
    ("metadata.set", "F16 a.gguf", "F16 a.gguf --scheme q4_k_m --set-meta general.name=str:another"),
    ("metadata.drop", "F16 a.gguf", "F16 a.gguf --scheme q4_k_m --drop-meta general.name"),
    (
      "calibration.files", "MODEL a.gguf -p awq --calibration TEXT --samples 2 --context 32",
      "MODEL a.gguf -p awq --calibration TEXT2 --samples 2 --context 32"
    ),
    ("calibration.samples", "MODEL a.gguf \(observed)", "MODEL a.gguf \(observed) --samples 3"),
    ("calibration.context", "MODEL a.gguf \(observed)", "MODEL a.gguf \(observed) --context 64"),
    ("calibration.seed", "MODEL a.gguf \(observed)", "MODEL a.gguf \(observed) --seed 7"),
    ("calibration.bos", "MODEL a.gguf \(observed)", "MODEL a.gguf \(observed) --bos on"),
    ("calibration.bos", "MODEL a.gguf --eval-text TEXT", "MODEL a.gguf --eval-text TEXT --bos on"),
    ("calibration.propagate", "MODEL a.gguf \(observed) --propagate original", "MODEL a.gguf \(observed) --propagate quantized"),
    (
      "calibration.true_sequential", "MODEL a.gguf \(observed) --propagate quantized",
      "MODEL a.gguf \(observed) --propagate quantized --true-sequential"
    ),
    ("calibration.products", "MODEL a.gguf \(observed)", "MODEL a.gguf \(observed) --products bf16"),
    ("calibration.stats", "MODEL a.gguf -p awq --stats STATS", "MODEL a.gguf -p awq --stats STATS2"),
    ("importance", "MODEL a.gguf --scheme q4_0", "MODEL a.gguf --scheme q4_0 --importance IMPORTANCE"),
    (
      "include_weights", "MODEL a.gguf --scheme q4_0 --importance IMPORTANCE",
      "MODEL a.gguf --scheme q4_0 --importance IMPORTANCE --include-weights attn_v"
    ),
    (
      "exclude_weights", "MODEL a.gguf --scheme q4_0 --importance IMPORTANCE",
      "MODEL a.gguf --scheme q4_0 --importance IMPORTANCE --exclude-weights attn_v"
    ),
    ("config", "MODEL a.gguf", "MODEL a.gguf --config CONFIG"),
    ("config", "ADAPTER a.gguf --base SMALL", "ADAPTER a.gguf --base SMALL --config CONFIG2"),
    ("tokenizer", "MODEL a.gguf", "MODEL a.gguf --tokenizer TOKENIZER"),
    ("pre_tokenizer", "MODEL a.gguf", "MODEL a.gguf --pre llama-bpe"),
    ("pre_tokenizer", "F16 a.gguf", "F16 a.gguf --pre llama-bpe"),
    ("pre_tokenizer", "MODEL out --eval-text TEXT", "MODEL out --eval-text TEXT --pre llama-bpe"),
    ("allow_nonfinite", "MODEL a.gguf", "MODEL a.gguf --allow-nonfinite"),
    ("allow_requantize", "MODEL a.gguf", "MODEL a.gguf --allow-requantize"),
    ("shard_size", "MODEL a.gguf", "MODEL a.gguf --shard-size 2MB"),
    ("keep_split", "PART a.gguf", "PART a.gguf --keep-split"),
    ("mmproj", "PICTURES a.gguf", "PICTURES a.gguf --mmproj"),
    ("mtp", "PREDICTING a.gguf", "PREDICTING a.gguf --mtp alone"),
    ("mtp", "PREDICTING a.gguf", "PREDICTING a.gguf --mtp none"),
    ("force", "MODEL a.gguf", "MODEL a.gguf --force"),
    ("resume", "MODEL a.gguf", "MODEL a.gguf --resume"),
    ("evaluation.text", "MODEL a.gguf", "MODEL a.gguf --eval-text TEXT"),
    ("evaluation.context", "MODEL a.gguf --eval-text TEXT", "MODEL a.gguf --eval-text TEXT --eval-context 64"),
    ("evaluation.windows", "MODEL a.gguf --eval-text TEXT", "MODEL a.gguf --eval-text TEXT --eval-windows 1"),
    ("gates", "MODEL a.gguf", "MODEL a.gguf --fail-if 'size.bytes_>_1e9'"),
    ("keep_rejected", "MODEL a.gguf --fail-if 'size.bytes_>_1e9'", "MODEL a.gguf --fail-if 'size.bytes_>_1e9' --keep-rejected"),
    ("report", "MODEL a.gguf", "MODEL a.gguf --report r.json"),
  ]

  /// Command lines in which a setting changes nothing, each with the id of the failure; nil: a warning.
  private static let idle: [(key: String, line: String, id: String?)] = [
    ("output_scheme", "ADAPTER out --output-scheme q8_0", "setting.input"),
    ("mmproj", "PICTURES out --mmproj", "tower.format"),
    ("mmproj", "F16 a.gguf --mmproj", "tower.source"),
    ("mmproj", "MODEL a.gguf --mmproj", "tower.unknown"),
    ("evaluation.text", "PICTURES a.gguf --mmproj --eval-text TEXT", "setting.no-effect"),
    ("mtp", "PREDICTING out --mtp none", "prediction.format"),
    ("mtp", "MODEL a.gguf --mtp alone", "prediction.absent"),
    ("evaluation.text", "PREDICTING a.gguf --mtp alone --eval-text TEXT", "setting.no-effect"),
    ("target_size", "MODEL a.gguf --target-size 2MB", "sizes.no-analysis"),
    ("target_bpw", "MODEL a.gguf --target-bpw 5 --target-kld 1", "sizes.conflict"),
    ("target_kld", "MODEL a.gguf --scheme q4_0 --analysis ANALYSIS --target-kld 1", "sizes.scheme"),
    ("prefer", "MODEL a.gguf --prefer q4_k", "sizes.no-order"),
    ("analysis", "MODEL a.gguf --analysis ANALYSIS", "sizes.no-order"),
    ("packing", "MODEL out --scheme bf16 --packing gptq", "setting.no-effect"),
    ("client", "MODEL a.gguf --for vllm", "client.format"),
    ("activations", "MODEL out --scheme bf16 --activations int8-token", "setting.no-effect"),
    ("kv_cache", "MODEL a.gguf --kv-cache fp8", "cache.no-place"),
    ("calibrator", "MODEL out --scheme w4a16 --calibrator mse", "setting.no-effect"),
    ("pure", "MODEL out --scheme int4-g128 --pure", nil),
    ("pure", "F16 a.gguf --scheme keep --pure", nil),
    ("search", "MODEL out --scheme fp8-channel --search best", "setting.no-effect"),
    ("search", "MODEL a.gguf --scheme f16 --search best", "setting.no-effect"),
    ("search", "F16 a.gguf --scheme keep --search best", "setting.no-effect"),
    ("methods", "MODEL a.gguf --scheme f16 -p rtn", nil),
    ("methods", "MODEL a.gguf --scheme f16 -p gptq", "method.unused"),
    ("methods", "MODEL a.gguf --scheme f16 -p lorc", "method.unused"),
    ("methods", "MODEL a.gguf --scheme q4_0 -p lorc -p eora", "method.overruled"),
    ("quality", "MODEL a.gguf --scheme f16 --quality fast", nil),
    ("quality", "MODEL a.gguf --scheme f16 --quality best", "method.unused"),
    ("quality", "MODEL a.gguf --quality best -p gptq", "usage.quality-and-methods"),
    ("drop_blocks", "MODEL a.gguf --drop-blocks 99", "blocks.number"),
    ("adapters", "SMALL out --lora SMALL", "adapter.none"),
    ("base", "MODEL a.gguf --base SMALL", "setting.input"),
    ("base", "ADAPTER out --base SMALL", nil),
    ("tensors", "MODEL a.gguf --tensor nothing=q8_0", "rule.no-match"),
    ("keep", "F16 a.gguf --scheme keep --keep *.ffn_down.*", nil),
    ("keep", "MODEL a.gguf --keep nothing", "rule.no-match"),
    ("drop", "MODEL a.gguf --drop nothing", "rule.no-match"),
    ("tensor_types", "MODEL a.gguf --tensor-type nothing=q8_0", "rule.no-match"),
    ("tensor_types", "MODEL a.gguf --tensor-type attn_norm=q8_0", "rule.no-match"),
    ("metadata.set", "MODEL out --set-meta a.b=u32:1", "metadata.format"),
    ("metadata.drop", "F16 a.gguf --drop-meta nothing.here", "metadata.refused"),
    ("calibration.files", "MODEL a.gguf --calibration TEXT", "setting.no-effect"),
    ("calibration.files", "MODEL a.gguf -p rtn --calibration TEXT", nil),
    ("calibration.files", "MODEL a.gguf -p awq --stats STATS --calibration TEXT", "usage.stats-and-text"),
    ("calibration.samples", "MODEL a.gguf --samples 2", nil),
    ("calibration.context", "MODEL a.gguf --context 32", nil),
    ("calibration.seed", "MODEL a.gguf --seed 7", nil),
    ("calibration.bos", "MODEL a.gguf --bos on", nil),
    ("calibration.propagate", "MODEL a.gguf --propagate quantized", nil),
    ("calibration.true_sequential", "MODEL a.gguf --true-sequential", "usage.true-sequential"),
    ("calibration.true_sequential", "MODEL a.gguf -p rtn --propagate quantized --true-sequential", nil),
    ("calibration.products", "MODEL a.gguf --products bf16", nil),
    ("calibration.products", "MODEL a.gguf -p awq --stats STATS --products bf16", nil),
    ("calibration.stats", "MODEL a.gguf --stats STATS", "stats.unused"),
    ("importance", "MODEL a.gguf --scheme f16 --importance IMPORTANCE", "setting.no-effect"),
    ("importance", "MODEL out --scheme w4a16 --importance IMPORTANCE", "setting.no-effect"),
    ("include_weights", "MODEL a.gguf --include-weights attn_v", "importance.selection"),
    ("exclude_weights", "MODEL a.gguf --importance IMPORTANCE --exclude-weights nothing", "importance.selection"),
    ("config", "F16 a.gguf --config CONFIG", "usage.config"),
    ("config", "ADAPTER out --config CONFIG", nil),
    ("tokenizer", "F16 a.gguf --tokenizer TOKENIZER", "setting.no-effect"),
    ("tokenizer", "LONE a.safetensors --tokenizer TOKENIZER", "setting.no-effect"),
    ("pre_tokenizer", "MODEL out --pre llama-bpe", "setting.no-effect"),
    ("pre_tokenizer", "MODEL a.gguf --tokenizer PIECES --pre llama-bpe", "tokenizer.pre-unused"),
    ("shard_size", "PART a.gguf --keep-split --shard-size 1MB", "setting.no-effect"),
    ("shard_size", "MODEL a.safetensors --shard-size 1MB", "output.shard-size"),
    ("shard_size", "ADAPTER out --shard-size 1MB", "output.shard-size"),
    ("keep_split", "F16 a.gguf --keep-split", nil),
    ("keep_split", "MODEL a.gguf --keep-split", "setting.no-effect"),
    ("keep_split", "MODEL out --keep-split", "setting.no-effect"),
    ("evaluation.context", "MODEL a.gguf --eval-context 64", "setting.no-effect"),
    ("evaluation.windows", "MODEL a.gguf --eval-windows 1", "setting.no-effect"),
    ("gates", "MODEL a.gguf --fail-if 'kld.mean_>_1'", "gate.not-measured"),
    ("keep_rejected", "MODEL a.gguf --keep-rejected", nil),
  ]

  /// Settings that apply to every conversion.
  private static let general: Set<String> = [
    "input", "output", "from", "to", "scheme", "allow_nonfinite", "allow_requantize", "force", "resume", "evaluation.text", "report",
    // It would be refused for a model without an embedding; every model here has one.
    "embedding_scheme",
  ]

  @Test func everySettingIsInTheTables() {
    let keys = Set(Setting.all.map(\.key))
    // `from` needs an input that two readers open, as in the next test.
    #expect(Set(SettingTests.effective.map(\.key)).union(["from"]) == keys)
    #expect(Set(SettingTests.idle.map(\.key)).union(SettingTests.general) == keys)
  }

  @Test func anotherValueIsAnotherRunExactlyWhereTheBytesDependOnIt() throws {
    let inputs = try OptionInputs()
    for (key, first, second) in SettingTests.effective {
      let setting = try #require(Setting.all.first { $0.key == key })
      let plans = (try inputs.plan(first, in: folder), try inputs.plan(second, in: folder))
      for warning in plans.0.warnings + plans.1.warnings { #expect(!warning.contains("no effect"), "\(second): \(warning)") }
      let isSame = try RunIdentity(plans.0) == RunIdentity(plans.1)
      #expect(isSame == (setting.influence == .none), "\(second)")
    }
    var plan = try inputs.plan("F16 a.gguf", in: folder)
    let identity = try RunIdentity(plan)
    plan.source.format = "another"
    #expect(try RunIdentity(plan) != identity)
  }

  @Test func aSettingThatChangesNothingIsRefusedOrSaid() throws {
    let inputs = try OptionInputs()
    for (key, line, id) in SettingTests.idle {
      let setting = try #require(Setting.all.first { $0.key == key })
      do {
        let warnings = try inputs.plan(line, in: folder).warnings
        let said = warnings.filter { $0.hasPrefix(setting.option + " has no effect: ") }
        #expect(id == nil && said.count == 1, "\(line): \(warnings)")
      } catch let failure as Failure {
        #expect(failure.id == id && failure.remedy != nil, "\(line): \(failure.message) [\(failure.id)]")
        #expect(id?.hasPrefix("setting.") != true || failure.message.hasPrefix(setting.option + " "), "\(line): \(failure.message)")
      }
    }
  }

  @Test func defaultsMayBeStatedEverywhere() throws {
    let inputs = try OptionInputs(["f16.gguf"])
    let defaults =
      "--no-pure --search standard --samples 128 --context 512 --seed 0 --bos auto --propagate auto --no-true-sequential --products f32 "
      + "--no-allow-nonfinite --no-allow-requantize --no-keep-split --no-mmproj --mtp kept --no-force --no-resume --eval-context 512"
    for line in ["MODEL a.gguf --scheme f16", "MODEL out --scheme w4a16", "F16 a.gguf --scheme keep", "ADAPTER out"] {
      let warnings = try inputs.plan(line + " " + defaults, in: folder).warnings
      #expect(!warnings.contains { $0.contains("no effect") }, "\(line): \(warnings)")
    }
  }

  @Test func whatIsAboutModelsIsRefusedForAdaptersAndTheOtherWayRound() throws {
    let inputs = try OptionInputs([])
    let registry = try Registry(QConvert.builtIn)
    let adapter = try Opening(registry).open(inputs.arguments("ADAPTER", in: folder)[0])
    let model = try Opening(registry).open(inputs.arguments("MODEL", in: folder)[0])
    let all = try completeRecipe()
    for setting in Setting.all {
      // A recipe with only this setting.
      let value = try #require(setting.value(all), "\(setting.key)")
      let parts = setting.key.split(separator: ".").map { String($0) }
      let tree = parts.reversed().reduce(value) { .object([.init($1, $0)]) }
      var recipe = Recipe()
      try RecipeFile.read(text: tree.text(), into: &recipe)
      #expect(setting.isSaid(in: recipe), "\(setting.key)")
      for input in [adapter, model] {
        let failure = failure { try Setting.check(recipe, appliesTo: input) }
        #expect((failure == nil) == setting.inputs.contains(input.content), "\(setting.key)")
        #expect(failure.map { $0.id == "setting.input" && $0.message.hasPrefix(setting.option + " ") } ?? true, "\(setting.key)")
      }
    }
    #expect(Setting.all.allSatisfy { !$0.inputs.isEmpty })
  }

  private func failure(_ body: () throws -> Void) -> Failure? {
    do { try body() } catch { return error as? Failure }
    return nil
  }

  // MARK: - The pre-tokenizer of a GGUF that is made from a GGUF

  @Test func theNameOfThePreTokenizerIsWrittenIntoAGGUF() throws {
    let inputs = try OptionInputs(["f16.gguf"])
    let (code, printed) = inputs.run("F16 named.gguf --scheme keep --pre llama-bpe --no-report", in: folder)
    #expect(code == 0, "\(printed)")
    let named = try Opening(Registry(QConvert.builtIn)).open(folder.file("named.gguf"))
    #expect(named.metadata["tokenizer.ggml.pre"] == .string("llama-bpe"))
    // A name that only later clients know may be written; a warning says that it is unknown.
    let unknown = try inputs.plan("F16 a.gguf --scheme keep --pre of-tomorrow", in: folder)
    #expect(unknown.warnings.contains { $0.contains("'of-tomorrow' is unknown") })
  }

  @Test func aGGUFWithoutThatNameIsSaidToHaveNone() throws {
    let inputs = try OptionInputs(["f16.gguf"])
    let (code, printed) = inputs.run("F16 without.gguf --scheme keep --drop-meta tokenizer.ggml.pre --no-report", in: folder)
    #expect(code == 0, "\(printed)")
    func warnings(_ options: String) throws -> [String] {
      var request = ConversionRequest(input: folder.file("without.gguf"), output: folder.file("again.gguf"))
      request.scheme = "keep"
      request.preTokenizer = options.isEmpty ? nil : options
      return try Planner(Registry(QConvert.builtIn)).plan(request).warnings
    }
    #expect(try warnings("").contains { $0.contains("name it with --pre NAME") })
    #expect(try !warnings("gpt-2").contains { $0.contains("pre-tokenizer") })
  }
}
