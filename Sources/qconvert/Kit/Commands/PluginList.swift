import ArgumentParser
import QuantCore

/// `qconvert plugins`: what this binary contains.
struct PluginList: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "plugins", abstract: "List methods, schemes, presets, packings, formats and families with their options.")

  @Flag(help: "List only model families and towers, with their architectures in each format.")
  var families = false

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    if families {
      let list = FamilyList("FAMILY", registry.families, registry), towers = FamilyList("TOWER", registry.towers, registry)
      return try session.answer(
        JSONOutput.document([.init("families", list.document), .init("towers", towers.document)]),
        text: [list, towers].map { $0.text(style: session.outputStyle) }.joined(separator: "\n"))
    }
    let facts = PluginFacts.ordered(registry)
    try session.answer(
      JSONOutput.document([
        .init("plugins", .array(facts.map { $0.document })), .init("activations", JSONOutput.strings(ActivationScheme.names)),
      ]),
      text: PluginFacts.text(facts, style: session.outputStyle))
  }
}

/// What `plugins` shows of one plug-in.
struct PluginFacts {
  let axis: String
  let id: String
  let summary: String
  let reference: String
  let options: [OptionDeclaration]
  /// Statistics that a method requires.
  let requirements: [String]
  /// Which stream a method observes; nil for plug-ins that are not methods.
  let propagation: String?
  /// Names of a provider's schemes or presets.
  let schemes: [String]
  /// Architectures of a family, or file extensions of a format.
  let names: [String]

  /// - Parameter namings: the namings in which to list a family's architectures.
  init(_ plugin: any Plugin.Type, namings: [Naming] = []) {
    axis = plugin.axis.rawValue
    id = plugin.id
    summary = plugin.summary
    reference = plugin.reference
    let method = plugin as? any QuantizationMethod.Type
    options = method?.options ?? []
    requirements = Statistic.allCases.filter { method?.requirements.contains($0) ?? false }.map { $0.rawValue }
    propagation = method.map { $0.propagation.rawValue }
    schemes =
      (plugin as? any SchemeProvider.Type)?.schemeNames ?? (plugin as? any PresetProvider.Type)?.presetNames ?? []
    if let family = plugin as? any ModelFamily.Type {
      names = namings.flatMap { family.architectures($0) }
    } else {
      let extensions = (plugin as? any CheckpointReader.Type)?.fileExtensions ?? (plugin as? any ImportanceFormat.Type)?.fileExtensions
      names = extensions?.map { "." + $0 } ?? []
    }
  }

  /// All plug-ins, axis by axis, in the order in which they were listed.
  static func ordered(_ registry: Registry) -> [PluginFacts] {
    // Folders use the model's own names, which come first.
    var namings: [Naming] = []
    for naming in registry.formats.filter({ $0.isFolder }).map({ $0.naming }) + registry.readers.map({ $0.naming })
    where !namings.contains(naming) { namings.append(naming) }
    let facts = registry.plugins.map { PluginFacts($0, namings: namings) }
    return PluginAxis.allCases.flatMap { axis in facts.filter { $0.axis == axis.rawValue } }
  }

  /// One table; details of a plug-in are in the rows below it.
  static func text(_ facts: [PluginFacts], style: Style) -> String {
    var table = Table([("AXIS", .left), ("ID", .left), ("SUMMARY", .left)])
    for fact in facts {
      table.add([fact.axis, fact.id, fact.summary])
      for detail in fact.details { table.add(["", "", "  " + detail]) }
    }
    return table.text(style: style)
  }

  private var details: [String] {
    var lines = options.map { "option \($0.name)=\($0.defaultValue): \($0.summary)" }
    if !requirements.isEmpty { lines.append("requires calibration: " + requirements.joined(separator: ", ")) }
    if !schemes.isEmpty { lines.append("names: " + schemes.joined(separator: " ")) }
    let kind = ["family", "tower"].contains(axis) ? "architectures" : "extensions"
    if !names.isEmpty { lines.append("\(kind): " + names.joined(separator: " ")) }
    if !reference.isEmpty { lines.append("reference: " + reference) }
    return lines
  }

  var document: JSON {
    .object([
      .init("axis", .string(axis)),
      .init("id", .string(id)),
      .init("summary", .string(summary)),
      .init(
        "options",
        .array(
          options.map { option in
            .object([
              .init("name", .string(option.name)),
              .init("default", .string(option.defaultValue)),
              .init("summary", .string(option.summary)),
            ])
          })),
      .init("requirements", JSONOutput.strings(requirements)),
      .init("propagation", JSONOutput.optional(propagation)),
      .init("schemes", JSONOutput.strings(schemes)),
      .init("names", JSONOutput.strings(names)),
      .init("reference", .string(reference)),
    ])
  }
}
