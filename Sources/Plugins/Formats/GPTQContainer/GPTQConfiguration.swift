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
  /// `dynamic` of GPTQModel: the first pattern that matches a module's name decides. Nil settings: the module is not quantized.
  private var rules: [(pattern: NamePattern, settings: Settings?)] = []
  /// `extra_config` of AutoRound.
  private var named: [String: Settings] = [:]

  /// - Returns: nil where the configuration is another method's.
  /// - Throws: `Failure` for a form of the layout that is not read.
  init?(_ json: JSON) throws(Failure) {
    guard let format = try GPTQConfiguration.format(json) else { return nil }
    if format == "gguf" {
      throw Failure(
        .unsupported, "gptq.gguf-blocks",
        "its weights are blocks of GGUF in a folder, as GPTQModel's method 'gguf' leaves them: other programs load it without an error, "
          + "and compute noise", remedy: "Give the unquantized model.")
    }
    switch format {
    case "gptq": zeros = .minusOne
    case "gptq_v2": zeros = .plain
    default:
      throw Failure(
        .unsupported, "gptq.format", "the weights are stored for GPTQ as '\(format)', which is not read: only 'gptq' and 'gptq_v2' are",
        remedy: "Give the unquantized model.")
    }
    if let type = json["pack_dtype"]?.stringValue, type != "int32" {
      throw Failure(.unsupported, "gptq.pack-type", "codes are packed into words of type \(type), and only int32 is read")
    }
    base = try GPTQConfiguration.settings(json, over: nil)
    packsHead = json["lm_head"]?.boolValue ?? false
    for member in json["dynamic"]?.objectValue ?? [] {
      let isNegative = member.key.hasPrefix("-:")
      let source = isNegative || member.key.hasPrefix("+:") ? String(member.key.dropFirst(2)) : member.key
      guard let pattern = NamePattern(source) else {
        throw Failure(.data, "gptq.pattern", "'\(member.key)' of 'dynamic' is not a regular expression that is understood")
      }
      rules.append((pattern, isNegative ? nil : try GPTQConfiguration.settings(member.value, over: base)))
    }
    for member in json["extra_config"]?.objectValue ?? [] {
      // Layers that were left alone are listed too, with 16 bits.
      guard (member.value["bits"]?.intValue ?? base.bits) < 16 else { continue }
      named[member.key] = try GPTQConfiguration.settings(member.value, over: base)
    }
  }

  /// The form of the layout, or nil where the configuration is not of it.
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
      throw Failure(.data, "gptq.config", "the configuration lacks 'bits' or 'group_size', or they are no numbers of that kind")
    }
    guard [2, 3, 4, 8].contains(bits) else {
      throw Failure(
        .unsupported, "gptq.bits", "codes of \(bits) bits are not read from GPTQ's layout: only 2, 3, 4 and 8",
        remedy: "Give the unquantized model.")
    }
    return Settings(
      bits: bits, groupLength: length == -1 ? nil : length, isSymmetric: json["sym"]?.boolValue ?? base?.isSymmetric ?? true)
  }

  /// How a packed layer is quantized.
  /// - Throws: `Failure` `gptq.ignored` where the configuration says that it is not.
  func settings(of module: String) throws(Failure) -> Settings {
    if let own = named[module] { return own }
    guard let rule = rules.first(where: { $0.pattern.matches(module) }) else { return base }
    guard let settings = rule.settings else {
      throw Failure(
        .data, "gptq.ignored", "is packed, and 'dynamic' of the configuration says that it is not quantized", tensor: module + ".weight")
    }
    return settings
  }

  /// Whether readers take a layer for a packed one; nil: they go by its tensors.
  func expectsQuantized(_ module: String) -> Bool? {
    if named[module] != nil { return true }
    if module == GPTQConfiguration.head { return packsHead }
    guard let rule = rules.first(where: { $0.pattern.matches(module) }) else { return nil }
    return rule.settings == nil ? false : nil
  }

  // MARK: Writing

  private static let head = "lm_head"

  /// The keys that every reader wants, and no others: settings of a run have no place in a checkpoint.
  /// - Parameter unquantized: names of linear layers that are left alone.
  static func json(format: String, modules: [QuantizedModule], unquantized: [String]) -> JSON? {
    var counts: [(first: QuantizedModule, count: Int)] = []
    for module in modules {
      if let index = counts.firstIndex(where: { $0.first.scheme.name == module.scheme.name }) {
        counts[index].count += 1
      } else {
        counts.append((module, 1))
      }
    }
    // The scheme of most layers; the first of several.
    guard let most = counts.map(\.count).max(), let base = counts.first(where: { $0.count == most })?.first.scheme else { return nil }
    var dynamic = modules.filter { $0.scheme.name != base.name }.map {
      JSON.Member("+:" + NamePattern.exactly($0.name), .object(members($0.scheme)))
    }
    dynamic += unquantized.filter { $0 != head }.map { .init("-:" + NamePattern.exactly($0), .object([])) }
    var result: [JSON.Member] = [.init("quant_method", .string("gptq"))] + members(base)
    result += [
      .init("desc_act", .bool(false)),
      .init("lm_head", .bool(modules.contains { $0.name == head })),
      .init("checkpoint_format", .string(format)),
    ]
    if !dynamic.isEmpty { result.append(.init("dynamic", .object(dynamic))) }
    return .object(result)
  }

  private static func members(_ scheme: any Scheme) -> [JSON.Member] {
    let grid = scheme.grid
    return [
      .init("bits", .int(Int(grid.codeBits))), .init("group_size", .int(grid.groupLength ?? -1)),
      .init("sym", .bool(grid.kind == .symmetricInteger)),
    ]
  }
}
