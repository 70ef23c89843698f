/// What to simulate, as the user names it: `w8a8`, `int8-token`, `file`, the id of a client, each alone or with
/// `kv=fp8`, or `keys=int4-channel,values=int4-token`.
public struct SimulationRequest: Sendable, Equatable {
  /// Where the rounding of inputs comes from.
  public enum Inputs: Sendable, Equatable {
    /// What the checkpoint itself says.
    case recorded
    /// What the client with this id does for weights of each type.
    case program(String)
    /// A preset: activations, and weights that the checkpoint holds unquantized.
    case preset(String)
    /// One scheme for the inputs of all linear layers of the blocks.
    case activations(ActivationScheme)
    /// LLM.int8(): columns with magnitudes of this threshold or more stay in half precision, the others become INT8; weights that the
    /// checkpoint holds unquantized become rows of INT8.
    case split(threshold: Float)
  }

  /// What asks for the split, alone or with a colon and the threshold; also the name of its scheme for weights.
  static let splitName = "llm-int8"

  /// How cached keys and values are rounded.
  public enum Cache: Sendable, Equatable {
    /// A 16-bit float type.
    case float(ElementType)
    /// An integer type, with a scale for each head of each token.
    case perHead(ActivationScheme.Element)
    /// Any scheme.
    case scheme(ActivationScheme)

    /// The scheme if its scales must be found before the model runs.
    var observed: ActivationScheme? { if case .scheme(let scheme) = self, scheme.isStatic { scheme } else { nil } }
  }

  /// Nil: inputs are exact.
  public var inputs: Inputs?
  /// How cached keys and values are rounded; nil: as the inputs' source says, else exactly.
  public var keys: Cache?
  public var values: Cache?
  /// Whether keys are rounded before the rotary embedding.
  public var areKeysUnrotated = false
  /// As typed.
  public let text: String

  /// - Throws: `Failure` `simulate.unknown` or `simulate.twice`.
  public init(_ text: String, registry: Registry) throws(Failure) {
    self.text = text
    for part in text.split(separator: ",", omittingEmptySubsequences: false).map({ String($0) }) {
      if let kind = CacheKind.allCases.first(where: { part.hasPrefix($0.rawValue + "=") }) {
        try add(SimulationRequest.cache(String(part.dropFirst(kind.rawValue.count + 1))), to: kind)
      } else {
        guard inputs == nil else { throw SimulationRequest.twice("rounding of inputs", text) }
        inputs = try SimulationRequest.inputs(part, registry)
      }
    }
  }

  /// What a word of a request says about caches.
  private enum CacheKind: String, CaseIterable {
    case both = "kv"
    case keys, values
    case unrotatedKeys = "unrotated-keys"
  }

  private mutating func add(_ cache: Cache, to kind: CacheKind) throws(Failure) {
    if kind != .values {
      guard keys == nil else { throw SimulationRequest.twice("cache of keys", text) }
      keys = cache
      areKeysUnrotated = kind == .unrotatedKeys
    }
    if kind == .both || kind == .values {
      guard values == nil else { throw SimulationRequest.twice("cache of values", text) }
      values = cache
    }
  }

  /// How what enters a cache is rounded, and where.
  func rounding(at place: CacheSite) -> (cache: Cache, site: Site)? {
    guard place.site == .keys else { return values.map { ($0, place.site) } }
    return keys.map { ($0, areKeysUnrotated ? place.unrotated ?? place.site : place.site) }
  }

  private static func inputs(_ name: String, _ registry: Registry) throws(Failure) -> Inputs {
    let programs = registry.clients.filter { $0.roundsInputsByType }.map { $0.id }
    if name == "file" { return .recorded }
    if programs.contains(name) { return .program(name) }
    if let scheme = ActivationScheme(named: name) { return .activations(scheme) }
    if name == splitName { return .split(threshold: OutlierSplit.usualThreshold) }
    if name.hasPrefix(splitName + ":"), let threshold = Float(name.dropFirst(splitName.count + 1)), threshold > 0, threshold.isFinite {
      return .split(threshold: threshold)
    }
    if registry.preset(name) != nil { return .preset(name) }
    let known = ["file"] + programs + ["kv=fp8", splitName] + registry.presetNames + ActivationScheme.names
    throw Failure(
      .usage, "simulate.unknown", "'\(name)' is not something that can be simulated",
      remedy: Registry.nearest(to: name, among: known).first.map { "Did you mean \($0)?" }
        ?? "Give a preset such as w8a8, an activation scheme such as int8-token, llm-int8 or llm-int8:THRESHOLD, kv=fp8, "
        + "\((["file"] + programs).joined(separator: " or ")).")
  }

  private static func cache(_ name: String) throws(Failure) -> Cache {
    switch name {
    case "fp8": return .scheme(.fp8Static)
    case "int8": return .perHead(.int8)
    case "int4": return .perHead(.int4)
    case "f16": return .float(.f16)
    case "bf16": return .float(.bf16)
    default: break
    }
    guard let scheme = ActivationScheme(named: name) else {
      throw Failure(
        .usage, "simulate.unknown", "'\(name)' is not a way to round keys and values",
        remedy: "Give kv=fp8, int8, int4, f16, bf16, or an activation scheme such as kv=int8-token or keys=int8-channel.")
    }
    return .scheme(scheme)
  }

  private static func twice(_ what: String, _ text: String) -> Failure {
    Failure(.usage, "simulate.twice", "'\(text)' names the \(what) twice", remedy: "Name it once.")
  }
}
