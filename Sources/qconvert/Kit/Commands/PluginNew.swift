import ArgumentParser
import Logging
import QuantCore

/// `qconvert plugin …`: for those who write plug-ins.
struct PluginCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugin", abstract: "Begin a plug-in of one's own.", subcommands: [PluginNew.self])
}

/// `qconvert plugin new NAME`: a Swift package with a plug-in that works, to be changed into another.
struct PluginNew: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "new",
    abstract: "Write a Swift package with a plug-in that works, its tests and a program that contains it.",
    discussion: """
      The package is a new folder NAME. Its README says how to build, test and run it.

      EXAMPLE
        qconvert plugin new my-method --qconvert ../qconvert
        qconvert plugin new my-model --kind family --qconvert ../qconvert
      """)

  @Argument(help: ArgumentHelp("What people will type: lower-case letters, digits and hyphens.", valueName: "NAME"))
  var name: String

  @Option(help: "What the plug-in is.")
  var kind = Scaffold.Kind.method

  @Option(help: ArgumentHelp("qconvert's sources: a folder, or the address of a repository.", valueName: "PATH|URL"))
  var qconvert: String

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let scaffold = try Scaffold(name: name, kind: kind, qconvert: qconvert, registry: registry)
    try scaffold.write()
    session.log.notice("\(name)/README.md says how to build, test and run it")
    let files = scaffold.files.map { JSON.string(Files.join(name, $0.path)) }
    let document = JSONOutput.document([.init("folder", .string(name)), .init("files", .array(files))])
    if session.isJSON { try session.answer(document, text: "") }
  }
}
