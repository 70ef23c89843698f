/// The plug-ins of one binary: a value, built once from one visible list.
public struct Registry: Sendable {
  /// All plug-ins in the order given.
  public let plugins: [any Plugin.Type]

  /// - Throws: `Failure` where two plug-ins of one axis have the same id.
  public init(_ plugins: [any Plugin.Type]) throws(Failure) {
    self.plugins = plugins
    var seen: Set<String> = []
    for plugin in plugins {
      let key = Registry.axis(of: plugin) + ":" + plugin.id
      guard seen.insert(key).inserted else {
        throw Failure(
          .config, "registry.duplicate", "two plug-ins share the id '\(plugin.id)' on the axis '\(Registry.axis(of: plugin))'",
          remedy: "Rename one of them.")
      }
    }
  }

  /// Axis of a plug-in as printed: method, scheme, preset, packing, format, family, importance, client.
  public static func axis(of plugin: any Plugin.Type) -> String {
    switch plugin {
    case is any QuantizationMethod.Type: "method"
    case is any SchemeProvider.Type: "scheme"
    case is any PresetProvider.Type: "preset"
    case is any Packing.Type: "packing"
    case is any CheckpointFormat.Type: "format"
    case is any ModelFamily.Type: "family"
    case is any ImportanceFormat.Type: "importance"
    case is any ClientProfile.Type: "client"
    default: "other"
    }
  }

  /// The methods, in the order of registration; the other axes likewise.
  public var methods: [any QuantizationMethod.Type] { plugins.compactMap { $0 as? any QuantizationMethod.Type } }
  public var schemeProviders: [any SchemeProvider.Type] { plugins.compactMap { $0 as? any SchemeProvider.Type } }
  public var presetProviders: [any PresetProvider.Type] { plugins.compactMap { $0 as? any PresetProvider.Type } }
  public var packings: [any Packing] { plugins.compactMap { ($0 as? any Packing.Type)?.init() } }
  /// The packings that readers of a format know, the preferred first.
  public func packings(of format: any CheckpointFormat.Type) -> [any Packing] {
    packings.filter { type(of: $0).formats.contains(format.id) }
  }
  public var clients: [any ClientProfile.Type] { plugins.compactMap { $0 as? any ClientProfile.Type } }
  public var formats: [any CheckpointFormat.Type] { plugins.compactMap { $0 as? any CheckpointFormat.Type } }
  public var families: [any ModelFamily.Type] { plugins.compactMap { $0 as? any ModelFamily.Type } }

  /// The method with this id.
  public func method(_ id: String) throws(Failure) -> any QuantizationMethod.Type {
    for method in methods where method.id == id { return method }
    if preset(id) != nil || schemeProviders.contains(where: { $0.scheme(named: id, modelType: .f16) != nil }) {
      throw Failure(
        .usage, "plugin.scheme", "'\(id)' is a scheme, and no method", remedy: "Give --scheme \(id), with any --plugin or none.")
    }
    throw Registry.unknown("plug-in", "plugin.unknown", id, among: methods.map { $0.id })
  }

  /// The format with this id.
  public func format(_ id: String) throws(Failure) -> any CheckpointFormat.Type {
    for format in formats where format.id == id { return format }
    throw Registry.unknown("format", "format.unknown", id, among: formats.map { $0.id })
  }

  /// The scheme with this name.
  public func scheme(_ name: String, modelType: ElementType) throws(Failure) -> any Scheme {
    for provider in schemeProviders {
      if let scheme = provider.scheme(named: name, modelType: modelType) { return scheme }
    }
    // Some names are a scheme's and a preset's.
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

  /// A failure that answers an unknown name with the nearest known ones.
  public static func unknown(_ what: String, _ id: String, _ name: String, among known: [String]) -> Failure {
    let near = nearest(to: name, among: known)
    let remedy =
      near.isEmpty ? "Known: \(known.joined(separator: ", "))." : "Did you mean \(near.joined(separator: " or "))?"
    return Failure(.usage, id, "unknown \(what) '\(name)'", remedy: remedy + " 'qconvert plugins' lists them all.")
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
