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
      Convert.self, PlanCommand.self, Calibrate.self, Analyze.self, Inspect.self, Validate.self, Compare.self, Evaluate.self, Generate.self,
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
    guard index < arguments.count else { return arguments }
    // `plugin new` has a command within a command.
    var (commands, end) = (Root.configuration.subcommands, index)
    while end < arguments.count, let command = commands.first(where: { $0.configuration.commandName == arguments[end] }) {
      commands = command.configuration.subcommands
      end += 1
    }
    return Array(arguments[index..<end] + arguments[..<index] + arguments[end...])
  }
}
