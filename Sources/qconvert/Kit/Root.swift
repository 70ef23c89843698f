import ArgumentParser
import QuantCore

/// `qconvert` itself: lists the commands. Without a command, `convert` runs.
struct Root: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "qconvert",
    abstract: "Quantizes and converts language-model checkpoints.",
    usage: """
      qconvert IN OUT [--plugin NAME[:k=v,...]] [options]
      qconvert <command> ...
      """,
    discussion: """
      EXAMPLES
        qconvert model/ model.gguf --scheme q4_k_m
        qconvert model/ model.gguf -p awq --scheme q4_k_m --calibration text.txt
        qconvert model/ model-w4a16/ --scheme w4a16 --plugin awq
        qconvert --recipe recipe.yaml model/ model.gguf
        qconvert plan model/ model.gguf --scheme q4_k_m --tensor 'output.weight=q8_0'
        qconvert inspect model.gguf
        qconvert validate model.gguf
        qconvert compare model/ model.gguf
        qconvert eval model.gguf --text test.txt --reference model/ --json
        qconvert generate model.gguf --prompt 'Once upon a time' --tokens 32

      EXIT CODES
      \(Wording.exitCodes.map { "  " + $0.code.padded(to: 9) + $0.meaning }.joined(separator: "\n"))
      """,
    version: QuantCoreInfo.version,
    subcommands: [
      Convert.self, PlanCommand.self, Calibrate.self, Inspect.self, Validate.self, Compare.self, Evaluate.self, Generate.self,
      Tokenize.self, Logits.self,
      PluginList.self, PluginCommand.self,
    ],
    defaultSubcommand: Convert.self
  )
}

/// Allows options that all commands share before the command (`qconvert --json plan IN OUT`).
enum CommandOrder {
  private static let flags: Set<String> = ["--json", "--quiet", "-q", "--verbose", "-v"]
  private static let options: Set<String> = ["--threads", "-j", "--color", "--progress"]

  /// The same arguments with the command's name first, if only shared options precede it.
  static func commandFirst(_ arguments: [String]) -> [String] {
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      let name = String(argument.prefix { $0 != "=" })
      if flags.contains(argument) || (options.contains(name) && name != argument) {
        index += 1
      } else if options.contains(argument) {
        index += 2
      } else {
        break
      }
    }
    let commands = Root.configuration.subcommands.compactMap { $0.configuration.commandName }
    guard index > 0, index < arguments.count, commands.contains(arguments[index]) else { return arguments }
    var ordered = arguments
    ordered.insert(ordered.remove(at: index), at: 0)
    return ordered
  }
}
