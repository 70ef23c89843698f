import ArgumentParser
import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

/// Every option of every command changes something, or is refused if it cannot. Conversion options that are settings too have
/// their own tables (`SettingTests`).
@Suite struct OptionTests {
  private let folder = TemporaryFolder()

  /// For every option, a command line without and with it, which differ in their exit code, what they print or what they write.
  private static let effective: [(option: String, without: String, with: String)] = [
    ("--recipe", "plan MODEL a.gguf", "plan MODEL a.gguf --recipe RECIPE"),
    ("--dump-recipe", "plan MODEL a.gguf", "plan MODEL a.gguf --dump-recipe"),
    ("plugins --families", "plugins", "plugins --families"),
    ("--leave-output-tensor", "plan MODEL a.gguf", "plan MODEL a.gguf --leave-output-tensor"),
    ("--tensor-type-file", "plan MODEL a.gguf", "plan MODEL a.gguf --tensor-type-file TYPES"),
    ("--override-kv", "plan F16 a.gguf --scheme keep", "plan F16 a.gguf --scheme keep --override-kv a.key.longer.than.the.padding=int:1"),
    ("--no-report", "convert MODEL a.gguf --dump-recipe", "convert MODEL a.gguf --dump-recipe --no-report"),
    ("--json", "plan MODEL a.gguf", "plan MODEL a.gguf --json"),
    ("--quiet", "calibrate MODEL q.stats --force \(few)", "calibrate MODEL q.stats --force \(few) --quiet"),
    ("--verbose", "convert MODEL a.gguf --force --scheme q8_0", "convert MODEL a.gguf --force --scheme q8_0 --verbose"),
    ("--threads", "plan MODEL a.gguf", "plan MODEL a.gguf --threads 64"),
    ("--color", "plan MODEL a.gguf", "plan MODEL a.gguf --color always"),
    ("--progress", "plan MODEL a.gguf", "plan MODEL a.gguf --progress sometimes"),

    ("calibrate --for", "calibrate MODEL a.stats --force \(few)", "calibrate MODEL a.stats --force \(few) --for awq"),
    ("calibrate --calibration", "calibrate MODEL a.stats --force \(few)", "calibrate MODEL a.stats --force \(few) --calibration TEXT2"),
    ("calibrate --samples", "calibrate MODEL b.stats --force \(few)", "calibrate MODEL b.stats --force \(few) --samples 2"),
    ("calibrate --context", "calibrate MODEL c.stats --force \(few)", "calibrate MODEL c.stats --force \(few) --context 8"),
    ("calibrate --seed", "calibrate MODEL d.stats --force \(few)", "calibrate MODEL d.stats --force \(few) --seed 3"),
    ("calibrate --bos", "calibrate MODEL e.stats --force \(few)", "calibrate MODEL e.stats --force \(few) --bos on"),
    ("calibrate --from", "calibrate MODEL f.stats --force \(few)", "calibrate MODEL f.stats --force \(few) --from gguf"),
    ("calibrate --config", "calibrate MODEL g.stats --force \(few)", "calibrate MODEL g.stats --force \(few) --config CONFIG"),
    ("calibrate --tokenizer", "calibrate MODEL h.stats --force \(few)", "calibrate MODEL h.stats --force \(few) --tokenizer PIECES"),
    ("calibrate --pre", "calibrate MODEL i.stats --force \(few)", "calibrate MODEL i.stats --force \(few) --pre nothing"),
    ("calibrate --force", "calibrate MODEL i.stats \(few)", "calibrate MODEL i.stats \(few) --force"),

    (
      "analyze --output", "analyze MODEL \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured)"
    ),
    (
      "analyze --plugin", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --plugin gptq:order=nothing"
    ),
    (
      "analyze --to", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --to huggingface"
    ),
    (
      "analyze --packing", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --packing nothing"
    ),
    (
      "analyze --for", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --for nothing"
    ),
    (
      "analyze --prefer", "analyze MODEL -o a.json --force --prefer q4_0,q8_0 \(measured)",
      "analyze MODEL -o a.json --force --prefer q4_0,q5_0 \(measured)"
    ),
    (
      "analyze --calibration", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --calibration TEXT2"
    ),
    (
      "analyze --samples", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --samples 2"
    ),
    (
      "analyze --context", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --context 8"
    ),
    (
      "analyze --seed", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --seed 3"
    ),
    (
      "analyze --bos", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --bos on"
    ),
    (
      "analyze --text", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --text TEXT2"
    ),
    (
      "analyze --windows", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(few) --windows 2"
    ),
    (
      "analyze --from", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --from gguf"
    ),
    (
      "analyze --config", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --config CONFIG"
    ),
    (
      "analyze --tokenizer", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --tokenizer PIECES"
    ),
    (
      "analyze --pre", "analyze MODEL -o a.json --force \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured) --pre nothing"
    ),
    (
      "analyze --force", "analyze MODEL -o a.json \(types) \(measured)",
      "analyze MODEL -o a.json --force \(types) \(measured)"
    ),

    ("inspect --from", "inspect F16", "inspect F16 --from safetensors"),
    ("inspect --tensors", "inspect F16", "inspect F16 --tensors"),
    ("inspect --metadata", "inspect F16", "inspect F16 --metadata"),
    ("inspect --metadata", "inspect MODEL", "inspect MODEL --metadata"),
    ("validate --from", "validate F16", "validate F16 --from safetensors"),
    ("validate --config", "validate LONE", "validate LONE --config EMPTY"),
    ("compare --all", "compare LONE LONE", "compare LONE LONE --all"),

    ("eval --text", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT2 \(brief)"),
    ("eval --reference", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --reference F16"),
    ("eval --protocol", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --protocol llama.cpp"),
    ("eval --context", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --context 16"),
    ("eval --windows", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --windows 2"),
    ("eval --fail-if", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --fail-if 'perplexity_>_0'"),
    ("eval --simulate", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --simulate int8-token"),
    (
      "eval --calibration", "eval MODEL --text TEXT \(brief) --simulate int8-tensor --calibration TEXT2",
      "eval MODEL --text TEXT \(brief) --simulate int8-tensor --calibration TEXT"
    ),
    (
      "eval --calibrator", "eval MODEL --text TEXT \(brief) --simulate int8-tensor --calibration TEXT2",
      "eval MODEL --text TEXT \(brief) --simulate int8-tensor --calibration TEXT2 --calibrator percentile:90"
    ),
    ("eval --config", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --config CONFIG"),
    ("eval --lora", "eval MODEL --text TEXT2 \(brief)", "eval MODEL --text TEXT2 \(brief) --lora nowhere"),
    ("eval --tokenizer", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --tokenizer PIECES"),
    ("eval --pre", "eval MODEL --text TEXT2 \(brief)", "eval MODEL --text TEXT2 \(brief) --pre nothing"),
    ("eval --bos", "eval MODEL --text TEXT \(brief)", "eval MODEL --text TEXT \(brief) --bos on"),

    ("generate --prompt", "generate MODEL --prompt Once --tokens 2", "generate MODEL --prompt The --tokens 2"),
    ("generate --tokens", "generate MODEL --prompt Once --tokens 2", "generate MODEL --prompt Once --tokens 3"),
    ("generate --config", "generate MODEL --prompt Once --tokens 2", "generate MODEL --prompt Once --tokens 2 --config EMPTY"),
    ("generate --lora", "generate MODEL --prompt Once --tokens 2", "generate MODEL --prompt Once --tokens 2 --lora nowhere"),
    ("generate --tokenizer", "generate MODEL --prompt Once --tokens 2", "generate MODEL --prompt Once --tokens 2 --tokenizer PIECES"),
    ("generate --pre", "generate MODEL --prompt Once --tokens 2", "generate MODEL --prompt Once --tokens 2 --pre nothing"),
    ("generate --bos", "generate MODEL --prompt Once --tokens 4 --json", "generate MODEL --prompt Once --tokens 4 --json --bos on"),

    ("tokenize --text", "tokenize MODEL --text TEXT", "tokenize MODEL --text TEXT2"),
    ("tokenize --tokenizer", "tokenize MODEL --text TEXT", "tokenize MODEL --text TEXT --tokenizer PIECES"),
    ("tokenize --pre", "tokenize MODEL --text TEXT", "tokenize MODEL --text TEXT --pre nothing"),
    ("tokenize --bos", "tokenize MODEL --text TEXT", "tokenize MODEL --text TEXT --bos on"),

    ("logits --ids", "logits SMALL a.bin --force --ids IDS", "logits SMALL a.bin --force --ids IDS2"),
    ("logits --config", "logits SMALL b.bin --force --ids IDS", "logits SMALL b.bin --force --ids IDS --config EMPTY"),
    ("logits --lora", "logits SMALL b.bin --force --ids IDS", "logits SMALL b.bin --force --ids IDS --lora nowhere"),
    ("logits --force", "logits SMALL b.bin --ids IDS", "logits SMALL b.bin --force --ids IDS"),
    ("logits --simulate", "logits MODEL c.bin --force --ids IDS", "logits MODEL c.bin --force --ids IDS --simulate int8-token"),
    (
      "logits --calibration", "logits MODEL d.bin --force --ids IDS --simulate int8-tensor --calibration TEXT2",
      "logits MODEL d.bin --force --ids IDS --simulate int8-tensor --calibration TEXT"
    ),
    (
      "logits --calibrator", "logits MODEL e.bin --force --ids IDS --simulate int8-tensor --calibration TEXT2",
      "logits MODEL e.bin --force --ids IDS --simulate int8-tensor --calibration TEXT2 --calibrator percentile:90"
    ),
    ("plugin --kind", "plugin new rtn --qconvert nowhere", "plugin new rtn --qconvert nowhere --kind scheme"),
    ("plugin --qconvert", "plugin new my-method", "plugin new my-method --qconvert nowhere"),
  ]

  private static let few = "--calibration TEXT --samples 1 --context 16"
  private static let types = "--prefer q4_0,q8_0"
  private static let measured = "\(few) --windows 1"
  private static let brief = "--context 32 --windows 1"

  /// Command lines with an option that cannot have an effect, and what their error or warning says.
  private static let idle: [(option: String, line: String, code: Int32, said: String)] = [
    ("--leave-output-tensor", "plan MODEL a.gguf --leave-output-tensor --output-scheme q8_0", 64, "cannot be combined"),
    ("--no-report", "plan MODEL a.gguf --no-report --report r.json", 64, "cannot be combined"),
    ("--tensor-type-file", "plan MODEL a.gguf --tensor-type-file EMPTY", 64, "rule.none"),
    ("--override-kv", "plan MODEL out --override-kv a.b=int:1", 64, "metadata.format"),
    ("--quiet", "plan MODEL a.gguf --quiet --verbose", 64, "cannot be combined"),
    ("--progress", "plan MODEL a.gguf --quiet --progress plain", 64, "cannot be combined"),
    ("calibrate --for", "calibrate MODEL a.gguf \(few) --for awq", 64, "calibrate.for"),
    ("calibrate --for", "calibrate MODEL none.stats \(few) --for rtn", 0, "warning: method 'rtn' observes nothing"),
    ("calibrate --config", "calibrate F16 a.stats \(few) --config CONFIG", 64, "usage.config"),
    ("calibrate --pre", "calibrate MODEL a.stats --force \(few) --tokenizer PIECES --pre llama-bpe", 64, "tokenizer.pre-unused"),
    ("validate --config", "validate F16 --config CONFIG", 64, "usage.config"),
    ("eval --calibration", "eval MODEL --text TEXT --calibration TEXT2", 64, "usage.calibration"),
    ("eval --calibrator", "eval MODEL --text TEXT --calibrator mse", 64, "usage.calibration"),
    ("eval --calibrator", "eval MODEL --text TEXT \(brief) --simulate int8-tensor --calibrator max", 64, "calibrator.unknown"),
    ("eval --calibration", "eval MODEL --text TEXT \(brief) --simulate int8-token --calibration TEXT2", 64, "usage.calibration"),
    ("eval --fail-if", "eval MODEL --text TEXT \(brief) --fail-if 'kld.mean_>_1'", 64, "gate.not-measured"),
    ("eval --config", "eval F16 --text TEXT \(brief) --config CONFIG", 64, "usage.config"),
    ("generate --config", "generate F16 --prompt Once --config CONFIG", 64, "usage.config"),
    ("tokenize --pre", "tokenize PIECES --text TEXT --pre llama-bpe", 64, "tokenizer.pre-unused"),
    ("logits --config", "logits F16 a.bin --ids IDS --config CONFIG", 64, "usage.config"),
    ("logits --calibration", "logits MODEL a.bin --ids IDS --calibration TEXT", 64, "usage.calibration"),
  ]

  /// The names of a command's options, without `--no-` forms.
  private func options(of command: any ParsableCommand.Type) -> Set<String> {
    let text = command.helpMessage(columns: 1000)
    let names = text.matches(of: /^  (?:-\w, )?(--[a-z][a-z-]*)/.anchorsMatchLineEndings()).map { String($0.output.1) }
    return Set(names)
  }

  @Test func everyOptionIsInTheTables() {
    let known = Set(OptionTests.effective.map(\.option))
    let general = options(of: PluginList.self).subtracting(["--version", "--help", "--families"])
    #expect(general.count == 6 && general.isSubset(of: known))
    let settings = Set(Setting.all.map(\.option))
    // Options without a setting of their own are other ways to give one, and must be in the tables.
    let conversion = options(of: Convert.self).subtracting(general).subtracting(["--version", "--help"])
    #expect(conversion == options(of: PlanCommand.self).subtracting(general).subtracting(["--version", "--help"]))
    for option in conversion { #expect(settings.contains(option) || known.contains(option), "\(option)") }
    #expect(settings.subtracting(conversion) == ["IN", "OUT"])
    let commands: [(name: String, type: any ParsableCommand.Type)] = [
      ("analyze", Analyze.self), ("calibrate", Calibrate.self), ("inspect", Inspect.self), ("validate", Validate.self),
      ("compare", Compare.self),
      ("eval", Evaluate.self), ("generate", Generate.self), ("tokenize", Tokenize.self), ("logits", Logits.self),
      ("plugin", PluginNew.self), ("plugins", PluginList.self),
    ]
    #expect(Root.configuration.subcommands.count == commands.count + 2)
    var own = general
    for (name, type) in commands {
      let found = options(of: type).subtracting(general).subtracting(["--version", "--help"]).map { name + " " + $0 }
      for option in found { #expect(known.contains(option), "\(option)") }
      own.formUnion(found)
    }
    // The tables hold nothing but options.
    #expect(known.subtracting(own).subtracting(conversion).isEmpty)
  }

  /// The result of a command line: its exit code, what it prints, and the hash of the file that it writes.
  private func result(_ line: String, _ inputs: OptionInputs) -> [String] {
    let (code, printed) = inputs.run(line.contains("--progress") ? line : line + " --progress none", in: folder)
    let written = inputs.arguments(line, in: folder).dropFirst(2).first.flatMap { try? Fingerprint.of(files: [$0]) }
    // The duration of a conversion is different each time.
    return ["\(code)", printed.replacing(/, [0-9.]+ s\n/, with: ""), written ?? ""]
  }

  @Test func everyOptionChangesSomething() throws {
    let inputs = try OptionInputs()
    for (option, without, with) in OptionTests.effective {
      #expect(result(without, inputs) != result(with, inputs), "\(option): \(with)")
    }
  }

  @Test func whatCannotHaveAnEffectIsRefusedOrSaid() throws {
    let inputs = try OptionInputs()
    for (option, line, code, said) in OptionTests.idle {
      let (found, printed) = inputs.run(line, in: folder)
      #expect(found == code && printed.contains(said), "\(option): '\(line)' ended with \(found): \(printed)")
    }
  }
}
