import ArgumentParser
import Logging
import QuantCore

/// `qconvert plugin …`: for authors of plug-ins.
struct PluginCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugin", abstract: "Start a custom plug-in.", subcommands: [PluginNew.self])
}

/// `qconvert plugin new NAME`: writes a Swift package with a working plug-in as a starting point.
struct PluginNew: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "new",
    abstract: "Create a Swift package with a working plug-in, its tests and a program that contains it.",
    discussion: """
      The package is a new folder NAME. Its README says how to build, test and run it.

      EXAMPLE
        qconvert plugin new my-method --qconvert ../qconvert
        qconvert plugin new my-model --kind family --qconvert ../qconvert
      """)

  @Argument(help: ArgumentHelp("Name of the plug-in: lower-case letters, digits and hyphens.", valueName: "NAME"))
  var name: String

  @Option(help: "Choose the kind of plug-in.")
  var kind = Scaffold.Kind.method

  @Option(help: ArgumentHelp("Use qconvert's sources from this folder or repository.", valueName: "PATH|URL"))
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
