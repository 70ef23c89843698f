import ArgumentParser
import CMemory
public import QuantCore
import QuantPlatform

/// The program as a library: a custom `main` lists its plug-ins in addition to the built-in ones.
///
/// ```swift
/// import QConvertKit
///
/// QConvert.main(plugins: QConvert.builtIn + [MyMethod.self])
/// ```
public enum QConvert {
  /// Runs the process's command line and ends the process with the exit code.
  /// - Parameter plugins: all plug-ins of the binary; their ids must be unique within their axis.
  public static func main(plugins: [any Plugin.Type] = builtIn) -> Never {
    Platform.occupyStandardStreams()
    // Before anything else, because threads inherit the signal mask of the thread that starts them.
    let arguments = Array(CommandLine.arguments.dropFirst())
    InterruptCleanup.install { loss in
      Session(console: .standard(), options: nil, isJSON: arguments.contains("--json")).report(Wording.failure(for: loss))
    }
    qc_on_exhaustion { InterruptCleanup.endForLackOfMemory() }
    // A closed pipe (`| head`) must fail the write instead of killing the process, so that unfinished outputs are removed.
    signal(SIGPIPE, SIG_IGN)
    exit(run(arguments, plugins: plugins, console: .standard()))
  }

  /// Runs one command line.
  /// - Returns: the exit code.
  static func run(_ arguments: [String], plugins: [any Plugin.Type], console: Console) -> Int32 {
    var session = Session(console: console, options: nil, isJSON: arguments.contains("--json"))
    do {
      let command = try parse(arguments)
      session = Session(console: console, options: command.global, isJSON: command.global.json)
      try command.run(Registry(plugins), session)
      return 0
    } catch let answer as Answer {
      return write(session.isJSON ? JSONOutput.text(answer.document) : answer.text, to: console)
    } catch is Console.ReaderGone {
      return 128 + SIGPIPE
    } catch let rejection as Rejection {
      return session.report(rejection.failure, document: rejection.document)
    } catch {
      return session.report(Wording.failure(for: error))
    }
  }

  /// The command of a command line.
  /// - Throws: `Failure` of kind usage, or `Answer` if help or the version is requested.
  static func parse(_ arguments: [String]) throws -> any QConvertCommand {
    do {
      var parsed = try Root.parseAsRoot(CommandOrder.commandFirst(arguments))
      if let command = parsed as? any QConvertCommand { return command }
      // Any other command is the parser's own help; running it throws its text.
      try parsed.run()
      throw Answer(Root.helpMessage())
    } catch let answer as Answer {
      throw answer
    } catch {
      if Root.exitCode(for: error) == .success { throw Answer(Root.fullMessage(for: error)) }
      throw Wording.usage(Root.message(for: error))
    }
  }

  /// The text of help and `--version`.
  struct Answer: Error {
    let text: String

    init(_ text: String) { self.text = text }

    /// The same as a JSON document.
    var document: JSON {
      JSONOutput.document([.init(text == QuantCoreInfo.version ? "version" : "help", .string(text))])
    }
  }

  private static func write(_ text: String, to console: Console) -> Int32 {
    do {
      try console.data(text.hasSuffix("\n") ? text : text + "\n")
      return 0
    } catch is Console.ReaderGone {
      return 128 + SIGPIPE
    } catch {
      return Failure.Kind.io.rawValue
    }
  }
}
