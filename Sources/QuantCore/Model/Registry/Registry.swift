/// The plug-ins of one program: a value that is built once from one list.
public struct Registry: Sendable {
  /// All plug-ins in the order given.
  public let plugins: [any Plugin.Type]
  /// The methods, in the order of registration; the other axes have the same order.
  public let methods: [any QuantizationMethod.Type]
  public let schemeProviders: [any SchemeProvider.Type]
  public let presetProviders: [any PresetProvider.Type]
  /// Packings that matrices are stored in.
  public let packings: [any Packing]
  /// The unpackers that read quantized folders.
  public let unpackers: [any Unpacker]
  /// Formats that can be read: all formats.
  public let readers: [any CheckpointReader.Type]
  /// Formats that can be written.
  public let formats: [any CheckpointFormat.Type]
  public let weightFormats: [any WeightFormat.Type]
  public let families: [any ModelFamily.Type]
  public let towers: [any TowerFamily.Type]
  /// The formats that importance is stored in.
  public let importanceFormats: [any ImportanceFormat.Type]
  public let clients: [any ClientProfile.Type]

  /// - Throws: `Failure` if two plug-ins of one axis have the same id.
  public init(_ plugins: [any Plugin.Type]) throws(Failure) {
    self.plugins = plugins
    var seen: Set<String> = []
    for plugin in plugins {
      guard seen.insert("\(plugin.axis):\(plugin.id)").inserted else {
        throw Failure(
          .config, "registry.duplicate", "two plug-ins share the id '\(plugin.id)' on the axis '\(plugin.axis)'",
          remedy: "Rename one of them.")
      }
    }
    // A failing conformance check takes long, so only types of the axis are checked.
    let byAxis = Dictionary(grouping: plugins) { $0.axis }
    func all(_ axis: PluginAxis) -> [any Plugin.Type] { byAxis[axis] ?? [] }
    methods = all(.method).compactMap { $0 as? any QuantizationMethod.Type }
    schemeProviders = all(.scheme).compactMap { $0 as? any SchemeProvider.Type }
    presetProviders = all(.preset).compactMap { $0 as? any PresetProvider.Type }
    packings = all(.packing).compactMap { ($0 as? any Packing.Type)?.init() }
    unpackers = all(.packing).compactMap { ($0 as? any Unpacker.Type)?.init() }
    readers = all(.format).compactMap { $0 as? any CheckpointReader.Type }
    formats = all(.format).compactMap { $0 as? any CheckpointFormat.Type }
    weightFormats = all(.format).compactMap { $0 as? any WeightFormat.Type }
    families = all(.family).compactMap { $0 as? any ModelFamily.Type }
    towers = all(.tower).compactMap { $0 as? any TowerFamily.Type }
    importanceFormats = all(.importance).compactMap { $0 as? any ImportanceFormat.Type }
    clients = all(.client).compactMap { $0 as? any ClientProfile.Type }
  }

  /// The packings that can be used in a format, the most preferred first.
  /// - Parameter name: of the packing that was asked for.
  public func packings(of format: any CheckpointFormat.Type, asked name: String? = nil) -> [any Packing] {
    packings.filter { packing in
      let kind = type(of: packing)
      if kind.isOnlyByName && kind.id != name { return false }
      return kind.isKnown(toReadersOf: format.id) || format.namesPacking && kind.formats.isEmpty
    }
  }

  /// The outputs of some formats, as a remedy names them: `a folder or a .gguf file`.
  package func outputs(_ isMeant: (any CheckpointFormat.Type) -> Bool) -> String {
    let meant = formats.filter(isMeant)
    let files = meant.filter { !$0.isFolder }.compactMap { $0.fileExtensions.first }.map { "a .\($0) file" }
    return ((meant.contains { $0.isFolder } ? ["a folder"] : []) + files).joined(separator: " or ")
  }

  /// The method with this id.
  public func method(_ id: String) throws(Failure) -> any QuantizationMethod.Type {
    for method in methods where method.id == id { return method }
    if preset(id) != nil || schemeProviders.contains(where: { $0.scheme(named: id, modelType: .f16) != nil }) {
      throw Failure(
        .usage, "plugin.scheme", "'\(id)' is a scheme, not a method",
        remedy: "Give \(setting: "scheme") \(id), with or without a \(setting: "plugin").")
    }
    throw Registry.unknown("plug-in", "plugin.unknown", id, among: methods.map { $0.id })
  }

  /// The format that opened a checkpoint, or nil if it is not in this registry.
  public func reader(of checkpoint: Checkpoint) -> (any CheckpointReader.Type)? { readers.first { $0.id == checkpoint.format } }

  /// The format with this id, for reading.
  public func reader(_ id: String) throws(Failure) -> any CheckpointReader.Type {
    for reader in readers where reader.id == id { return reader }
    throw Registry.unknown("format", "format.unknown", id, among: readers.map { $0.id })
  }

  /// The format with this id, for writing.
  public func format(_ id: String) throws(Failure) -> any CheckpointFormat.Type {
    for format in formats where format.id == id { return format }
    if readers.contains(where: { $0.id == id }) {
      throw Failure(
        .usage, "format.read-only", "format '\(id)' can be read but not written",
        remedy: "Choose one of: " + formats.map { $0.id }.joined(separator: ", ") + ".")
    }
    throw Registry.unknown("format", "format.unknown", id, among: formats.map { $0.id })
  }

  /// The scheme with this name.
  public func scheme(_ name: String, modelType: ElementType) throws(Failure) -> any Scheme {
    for provider in schemeProviders {
      if let scheme = provider.scheme(named: name, modelType: modelType) { return scheme }
    }
    // Some names are both a scheme's and a preset's.
    let schemes = schemeProviders.flatMap { $0.schemeNames }
    throw Registry.unknown("scheme", "scheme.unknown", name, among: schemes + presetNames.filter { !schemes.contains($0) })
  }

  /// The preset with this name, or nil.
  public func preset(_ name: String) -> (any Preset)? {
    for provider in presetProviders {
      if let preset = provider.preset(named: name) { return preset }
    }
    return nil
  }

  /// Names of all presets, for lists.
  public var presetNames: [String] { presetProviders.flatMap { $0.presetNames } }

  /// The error for an unknown name, which suggests the nearest known ones.
  public static func unknown(_ what: String, _ id: String, _ name: String, among known: [String]) -> Failure {
    let near = nearest(to: name, among: known)
    let remedy: Remedy =
      near.isEmpty ? "Choose one of: \(known.joined(separator: ", "))." : "Did you mean \(near.joined(separator: " or "))?"
    return Failure(.usage, id, "unknown \(what) '\(name)'", remedy: remedy + " \(command: "plugins") lists them all.")
  }

  /// The names within an edit distance of 3, nearest first, each in quotes.
  public static func nearest(to name: String, among known: [String]) -> [String] {
    known.map { ($0, editDistance(name, $0)) }.filter { $0.1 <= 3 && $0.1 < name.count }
      .sorted { ($0.1, $0.0) < ($1.1, $1.0) }.prefix(3).map { "'\($0.0)'" }
  }

  private static func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.lowercased()), b = Array(b.lowercased())
    var row = Array(0...b.count)
    for i in a.indices {
      var diagonal = row[0]
      row[0] = i + 1
      for j in b.indices {
        let cost = min(row[j + 1] + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1))
        diagonal = row[j + 1]
        row[j + 1] = cost
      }
    }
    return row[b.count]
  }
}
