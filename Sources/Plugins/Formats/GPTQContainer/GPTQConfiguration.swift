import FolderKit
import QuantCore

/// `quantization_config` (or `quantize_config.json`) of a GPTQ checkpoint.
struct GPTQConfiguration {
  /// How one layer is quantized.
  struct Settings: Equatable {
    var bits: Int
    /// Nil for whole rows (`group_size: -1`).
    var groupLength: Int?
    var isSymmetric: Bool
  }

  let zeros: GPTQZeros
  private let base: Settings
  private let packsHead: Bool
  /// GPTQModel's `dynamic`: the first pattern that matches a layer's name decides. Nil settings: the layer is not quantized.
  private var rules: [(pattern: NamePattern, settings: Settings?)] = []
  /// AutoRound's `extra_config`.
  private var named: [String: Settings] = [:]

  /// - Returns: nil if the configuration is that of another method.
  /// - Throws: `Failure` for a variant of the packing that is not supported.
  init?(_ json: JSON) throws(Failure) {
    guard let format = try GPTQConfiguration.format(json) else { return nil }
    if format == "gguf" {
      throw Failure(
        .unsupported, "gptq.gguf-blocks",
        "its weights are GGUF blocks in a folder, as GPTQModel's method 'gguf' writes them; other clients load it without an error, "
          + "but compute noise", remedy: "Give the unquantized model.")
    }
    switch format {
    case "gptq": zeros = .minusOne
    case "gptq_v2": zeros = .plain
    default:
      throw Failure(
        .unsupported, "gptq.format", "the weights are packed as GPTQ's '\(format)'; only 'gptq' and 'gptq_v2' are supported",
        remedy: "Give the unquantized model.")
    }
    if let type = json["pack_dtype"]?.stringValue, type != "int32" {
      throw Failure(.unsupported, "gptq.pack-type", "codes are packed into words of type \(type); only int32 is supported")
    }
    base = try GPTQConfiguration.settings(json, over: nil)
    packsHead = json["lm_head"]?.boolValue ?? false
    for member in json["dynamic"]?.objectValue ?? [] {
      let isNegative = member.key.hasPrefix("-:")
      let source = isNegative || member.key.hasPrefix("+:") ? String(member.key.dropFirst(2)) : member.key
      guard let pattern = NamePattern(source) else {
        throw Failure(.data, "gptq.pattern", "'\(member.key)' in 'dynamic' is not a supported regular expression")
      }
      rules.append((pattern, isNegative ? nil : try GPTQConfiguration.settings(member.value, over: base)))
    }
    try NamePattern.check(rules.map(\.pattern))
    for member in json["extra_config"]?.objectValue ?? [] {
      // Layers that are not quantized are listed too, with 16 bits.
      guard (member.value["bits"]?.intValue ?? base.bits) < 16 else { continue }
      named[member.key] = try GPTQConfiguration.settings(member.value, over: base)
    }
  }

  /// The version of the packing, or nil if the configuration is not GPTQ's.
  private static func format(_ json: JSON) throws(Failure) -> String? {
    let format = (json["checkpoint_format"] ?? json["format"])?.stringValue ?? "gptq"
    switch json["quant_method"]?.stringValue {
    case "gguf": return "gguf"
    case "gptq": return json["is_marlin_format"]?.boolValue == true ? "marlin" : format
    case "auto-round", "intel/auto-round":
      switch json["packing_format"]?.stringValue {
      case "auto_round:auto_gptq": return "gptq"
      case let other? where other.contains("gptq"): return other
      default: return nil
      }
    case nil:
      // The file of AutoGPTQ, which names no method.
      return json["bits"]?.intValue != nil && json["group_size"]?.intValue != nil && json["desc_act"]?.boolValue != nil ? format : nil
    default: return nil
    }
  }

  private static func settings(_ json: JSON, over base: Settings?) throws(Failure) -> Settings {
    let bits = json["bits"]?.intValue ?? base?.bits
    let length = json["group_size"]?.intValue ?? base.map { $0.groupLength ?? -1 }
    guard let bits, let length, length == -1 || length > 0 else {
      throw Failure(.data, "gptq.config", "the configuration lacks a valid 'bits' or 'group_size'")
    }
    guard [2, 3, 4, 8].contains(bits) else {
      throw Failure(
        .unsupported, "gptq.bits", "GPTQ codes of \(bits) bits are not supported; only 2, 3, 4 and 8 bits are",
        remedy: "Give the unquantized model.")
    }
    return Settings(
      bits: bits, groupLength: length == -1 ? nil : length, isSymmetric: json["sym"]?.boolValue ?? base?.isSymmetric ?? true)
  }

  /// How a packed layer is quantized.
  /// - Throws: `Failure` `gptq.ignored` if the configuration says that it is not.
  func settings(of module: String) throws(Failure) -> Settings {
    if let own = named[module] { return own }
    guard let rule = rules.first(where: { $0.pattern.matches(module) }) else { return base }
    guard let settings = rule.settings else {
      throw Failure(
        .data, "gptq.ignored", "is packed, but 'dynamic' in the configuration says that it is not quantized", tensor: module + ".weight")
    }
    return settings
  }

  /// Whether clients expect a layer to be packed; nil: they go by its tensors.
  func expectsQuantized(_ module: String) -> Bool? {
    if named[module] != nil { return true }
    if module == GPTQConfiguration.head { return packsHead }
    guard let rule = rules.first(where: { $0.pattern.matches(module) }) else { return nil }
    return rule.settings == nil ? false : nil
  }

  // MARK: Writing

  private static let head = "lm_head"

  /// The keys that every client requires, and no others: the settings of a run do not belong in a checkpoint.
  /// - Parameter unquantized: names of linear layers that are not quantized.
  static func json(format: String, modules: [QuantizedModule], unquantized: [String]) -> JSON? {
    var counts: [(first: QuantizedModule, count: Int)] = []
    for module in modules {
      if let index = counts.firstIndex(where: { $0.first.scheme.name == module.scheme.name }) {
        counts[index].count += 1
      } else {
        counts.append((module, 1))
      }
    }
    // The scheme of most layers; on a tie, the first.
    guard let most = counts.map(\.count).max(), let base = counts.first(where: { $0.count == most })?.first.scheme else { return nil }
    let dynamic = dynamic(besides: base, modules, unquantized.filter { $0 != head })
    var result: [JSON.Member] = [.init("quant_method", .string("gptq"))] + members(base)
    result += [
      .init("desc_act", .bool(false)),
      .init("lm_head", .bool(modules.contains { $0.name == head })),
      .init("checkpoint_format", .string(format)),
    ]
    if !dynamic.isEmpty { result.append(.init("dynamic", .object(dynamic))) }
    return .object(result)
  }

  /// The layers that differ from most, and those that are not quantized.
  private static func dynamic(besides base: any Scheme, _ modules: [QuantizedModule], _ unquantized: [String]) -> [JSON.Member] {
    let schemes = Dictionary(grouping: modules.filter { $0.scheme.name != base.name }, by: \.scheme.name).sorted { $0.key < $1.key }
    var groups = schemes.map { name, own in
      (
        layers: own.map(\.name), others: modules.filter { $0.scheme.name != name }.map(\.name) + unquantized, sign: "+:",
        members: members(own[0].scheme)
      )
    }
    groups.append((unquantized, modules.map(\.name), "-:", []))
    let entries = groups.map { LayerPatterns(besides: $0.others).entries(for: $0.layers) }
    let areFew = entries.flatMap { $0 }.areFew
    return zip(groups, entries).flatMap { group, entries in
      (areFew ? entries : group.layers.map { .name($0) }).map { entry in
        let pattern =
          switch entry {
          case .name(let name): NamePattern.exactly(name)
          case .expression(let expression): "^" + expression
          }
        return JSON.Member(group.sign + pattern, .object(group.members))
      }
    }
  }

  private static func members(_ scheme: any Scheme) -> [JSON.Member] {
    let grid = scheme.grid
    return [
      .init("bits", .int(Int(grid.codeBits))), .init("group_size", .int(grid.groupLength ?? -1)),
      .init("sym", .bool(grid.kind == .symmetricInteger)),
    ]
  }
}
