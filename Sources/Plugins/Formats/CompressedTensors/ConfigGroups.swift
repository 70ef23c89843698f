import QuantCore

/// `config_groups` and `ignore` of a configuration: which layers are quantized, and how.
struct ConfigGroups {
  /// How the layers of one group are quantized: their weights and their inputs.
  struct Group {
    var name: String
    var arguments: QuantizationConfiguration.Arguments
    /// The packing of the weights.
    var format: String
    /// nil: inputs are not rounded, or in an unknown way.
    var inputs: ActivationScheme?
  }

  /// The first group in the file.
  let first: Group
  private var isAlone: Bool
  private var byName: [String: Group] = [:]
  /// Sorted by text, the order in which the library tries them.
  private var byPattern: [(pattern: NamePattern, group: Group)] = []
  /// The group for linear layers that no other group names.
  private var ofClass: Group?
  private var ignoredNames: Set<String> = []
  private var ignoredPatterns: [NamePattern] = []

  /// - Returns: nil if there are no groups.
  /// - Throws: `Failure` for a group that is not supported.
  init?(_ configuration: JSON) throws(Failure) {
    if configuration["transform_config"]?["config_groups"]?.objectValue?.isEmpty == false {
      throw Failure(
        .unsupported, "ct.transform", "its weights are rotated or scaled by a 'transform_config', which clients undo at run time",
        remedy: "Give the unquantized model.")
    }
    let members = configuration["config_groups"]?.objectValue ?? []
    var groups: [(group: Group, targets: [String])] = []
    for member in members {
      let targets = (member.value["targets"]?.arrayValue ?? []).compactMap(\.stringValue)
      groups.append((try ConfigGroups.group(member, format: configuration["format"]?.stringValue), targets))
    }
    guard let first = groups.first?.group else { return nil }
    self.first = first
    isAlone = groups.count == 1
    for (group, targets) in groups {
      for target in targets {
        if target.hasPrefix("re:") {
          byPattern.append((try ConfigGroups.pattern(target), group))
        } else if target == "Linear" {
          ofClass = ofClass ?? group
        } else if byName[target] == nil {
          byName[target] = group
        }
      }
    }
    byPattern.sort { $0.pattern.source < $1.pattern.source }
    for name in (configuration["ignore"]?.arrayValue ?? []).compactMap(\.stringValue) {
      if name.hasPrefix("re:") { ignoredPatterns.append(try ConfigGroups.pattern(name)) } else { ignoredNames.insert(name) }
    }
    try NamePattern.check(byPattern.map(\.pattern) + ignoredPatterns)
  }

  private static func pattern(_ text: String) throws(Failure) -> NamePattern {
    guard let pattern = NamePattern(String(text.dropFirst("re:".count))) else {
      throw Failure(.data, "ct.pattern", "'\(text)' in the configuration is not a supported regular expression")
    }
    return pattern
  }

  /// The group of a weight: by its layer's name, else by pattern, else by class; a lone group holds for every quantized weight.
  func group(of weight: String) -> Group? {
    let module = QuantizedModule.name(ofWeight: weight)
    return byName[module] ?? byPattern.first { $0.pattern.matches(module) }?.group ?? ofClass ?? (isAlone ? first : nil)
  }

  /// Whether the configuration says that a weight is not quantized.
  func isIgnored(_ weight: String) -> Bool {
    let module = QuantizedModule.name(ofWeight: weight)
    return ignoredNames.contains(module) || ignoredPatterns.contains { $0.matches(module) }
  }

  /// Whether clients expect a layer to be quantized.
  func expectsQuantized(_ module: String) -> Bool {
    let isTarget = byName[module] != nil || ofClass != nil || byPattern.contains { $0.pattern.matches(module) }
    return isTarget && !isIgnored(module)
  }

  /// Names of layers, and patterns, that match none of these layers.
  func targetsWithout(_ modules: Set<String>) -> [String] {
    byName.keys.filter { !modules.contains($0) && !ConfigGroups.isClass($0) }.sorted()
      + byPattern.map(\.pattern).filter { pattern in !modules.contains { pattern.matches($0) } }.map { "re:" + $0.source }
  }

  /// Classes begin with an upper-case letter and contain no dots.
  private static func isClass(_ target: String) -> Bool { !target.contains(".") && target.first?.isUppercase == true }

  /// Whether several patterns match, so that only the order of their text decides.
  func isAmbiguous(_ module: String) -> Bool {
    guard byName[module] == nil else { return false }
    return Set(byPattern.filter { $0.pattern.matches(module) }.map(\.group.name)).count > 1
  }

  private static func group(_ member: JSON.Member, format: String?) throws(Failure) -> Group {
    let group = member.value
    guard let weights = group["weights"], let bits = weights["num_bits"]?.intValue, let format = group["format"]?.stringValue ?? format
    else {
      throw Failure(
        .unsupported, "ct.group", "config group '\(member.key)' does not say how its weights are stored",
        remedy: "Give the unquantized model.")
    }
    guard let level = level(weights) else {
      let strategy = weights["strategy"]?.stringValue ?? "none"
      throw Failure(
        .unsupported, "ct.strategy", "config group '\(member.key)' has an unsupported strategy '\(strategy)', or sizes that do not fit it",
        remedy: "Give the unquantized model.")
    }
    let arguments = QuantizationConfiguration.Arguments(
      isFloat: weights["type"]?.stringValue == "float", bits: bits, isSymmetric: weights["symmetric"]?.boolValue ?? true, level: level)
    let inputs = group["input_activations"].flatMap { QuantizationConfiguration.inputs($0) }
    return Group(name: member.key, arguments: arguments, format: format, inputs: inputs)
  }

  private static func level(_ weights: JSON) -> QuantizationConfiguration.Level? {
    switch weights["strategy"]?.stringValue {
    case "tensor": return .tensor
    case "channel": return .channel
    case "group":
      guard let length = weights["group_size"]?.intValue, length > 0 else { return nil }
      return .group(length)
    case "tensor_group":
      guard let length = weights["group_size"]?.intValue, length > 0 else { return nil }
      return .tensorGroup(length)
    case "block":
      let sides = (weights["block_structure"]?.arrayValue ?? []).compactMap(\.intValue)
      guard sides.count == 2, sides[0] == sides[1], sides[0] > 0 else { return nil }
      return .block(sides[0])
    default: return nil
    }
  }
}
