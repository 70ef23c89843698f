import QuantCore

/// `quantization_config` as compressed-tensors defines it, in the few keys that all of its versions know.
///
/// Later versions forbid keys that they do not know and earlier ones forbid later keys: what is left out is what makes a
/// file readable by all of them.
enum QuantizationConfiguration {
  /// What a config group says about weights.
  struct Arguments {
    var isFloat: Bool
    var bits: Int
    var isSymmetric: Bool
    var level: Level

    /// Nil for one group per row.
    var groupLength: Int? { if case .group(let length) = level { length } else { nil } }
  }

  /// Weights that share a scale (`strategy`).
  enum Level: Equatable {
    case tensor
    case channel
    /// Columns of a row.
    case group(Int)
    /// A square of so many rows and columns.
    case block(Int)
    /// Columns of a row, beside a scale for the tensor.
    case tensorGroup(Int)
  }

  static func json(format: String, modules: [QuantizedModule], unquantized: [String]) -> JSON? {
    guard !modules.isEmpty else { return nil }
    var schemes: [(first: QuantizedModule, names: [String])] = []
    for module in modules {
      if let index = schemes.firstIndex(where: {
        $0.first.scheme.name == module.scheme.name && $0.first.activations == module.activations
      }) {
        schemes[index].names.append(module.name)
      } else {
        schemes.append((module, [module.name]))
      }
    }
    let groups = schemes.enumerated().map { index, entry in
      // One scheme is for every linear layer that is not ignored; several name their layers.
      let targets = schemes.count == 1 ? [JSON.string("Linear")] : entry.names.map { .string($0) }
      var members: [JSON.Member] = [.init("targets", .array(targets)), .init("weights", weights(entry.first.scheme.grid))]
      if let activations = entry.first.activations { members.append(.init("input_activations", json(activations))) }
      return JSON.Member("group_\(index)", .object(members))
    }
    return .object([
      .init("quant_method", .string("compressed-tensors")),
      .init("format", .string(format)),
      .init("quantization_status", .string("compressed")),
      .init("config_groups", .object(groups)),
      .init("ignore", .array(unquantized.map { .string($0) })),
    ])
  }

  private static func weights(_ grid: Grid) -> JSON {
    var members: [JSON.Member] = [
      .init("num_bits", .int(Int(grid.codeBits))),
      .init("type", .string(grid.kind == .scaledFloat ? "float" : "int")),
      .init("symmetric", .bool(grid.kind != .asymmetricInteger)),
    ]
    switch (grid.tileRows, grid.groupLength) {
    case (1, let length?) where grid.globalScale != nil:
      members += [.init("strategy", .string("tensor_group")), .init("group_size", .int(length))]
    case (nil, _): members.append(.init("strategy", .string("tensor")))
    case (_, nil): members.append(.init("strategy", .string("channel")))
    case (1, let length?): members += [.init("strategy", .string("group")), .init("group_size", .int(length))]
    case (let rows?, let columns?):
      members += [.init("strategy", .string("block")), .init("block_structure", .array([.int(rows), .int(columns)]))]
    }
    // Without it, readers refuse scales of 8 bits, or take powers of two for the numbers of their exponents.
    if grid.scaleType == .f8e8m0 { members.append(.init("scale_dtype", .string("torch.uint8"))) }
    if grid.scaleType == .f8e4m3 { members.append(.init("scale_dtype", .string("torch.float8_e4m3fn"))) }
    return .object(members)
  }

  // MARK: Reading

  /// Replaces the parts of each quantized module by one logical tensor, in the place of its first part.
  /// - Parameter make: the logical tensor of a module from its parts by suffix, or nil where the parts are not those of a
  ///   quantized weight.
  /// - Returns: nil where the configuration is another layout's.
  static func unpack(
    _ configuration: JSON, format: String, stored: [CheckpointTensor],
    make: (String, Arguments, [String: CheckpointTensor]) throws -> CheckpointTensor?
  ) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == "compressed-tensors" else { return nil }
    let groups = try readGroups(configuration, format: format)
    guard let groups else { return nil }
    // Everything whose name ends in one of the suffixes belongs to the weight before it.
    var parts: [String: [String: CheckpointTensor]] = [:]
    for tensor in stored {
      for suffix in ["_packed", "_scale", "_global_scale", "_zero_point", "_shape", "_g_idx"]
      where tensor.name.hasSuffix(".weight" + suffix) {
        parts[String(tensor.name.dropLast(suffix.count)), default: [:]][suffix] = tensor
      }
    }
    for tensor in stored where parts[tensor.name] != nil { parts[tensor.name]?[""] = tensor }
    // Scales of rounded inputs and caches say nothing about weights.
    let suffixes = [StoredInput.scaleSuffix, StoredInput.globalScaleSuffix, StoredInput.zeroPointSuffix]
    let inputScales = Set(parts.keys.flatMap { name in suffixes.map { String(name.dropLast("weight".count)) + $0 } })
    var result: [CheckpointTensor] = []
    var done: Set<String> = []
    for tensor in stored where !inputScales.contains(tensor.name) && !isCacheScale(tensor) {
      let name = parts.keys.contains(tensor.name) ? tensor.name : owner(of: tensor.name, parts)
      guard let name, let own = parts[name] else {
        result.append(tensor)
        continue
      }
      guard done.insert(name).inserted else { continue }
      guard own["_g_idx"] == nil else {
        throw Failure(.unsupported, "ct.activation-order", "weights are grouped in the order of activations", tensor: name)
      }
      guard let arguments = group(of: name, groups)?.arguments, let made = try make(name, arguments, own) else {
        throw Failure(.data, "ct.parts", "parts of this quantized weight are missing, or no config group names it", tensor: name)
      }
      result.append(made)
    }
    return result
  }

  private static func isCacheScale(_ tensor: CheckpointTensor) -> Bool {
    StoredInput.isNumber(tensor) && [StoredInput.keySuffix, StoredInput.valueSuffix].contains { tensor.name.hasSuffix("." + $0) }
  }

  private static func owner(of name: String, _ parts: [String: [String: CheckpointTensor]]) -> String? {
    for suffix in ["_packed", "_scale", "_global_scale", "_zero_point", "_shape", "_g_idx"] where name.hasSuffix(".weight" + suffix) {
      let owner = String(name.dropLast(suffix.count))
      if parts[owner] != nil { return owner }
    }
    return nil
  }

  /// A config group: layers, their weights, their inputs.
  struct Group {
    var targets: [String]
    var arguments: Arguments
    /// nil: inputs are not rounded, or in a way that is not known.
    var inputs: ActivationScheme?
  }

  /// The group that a weight belongs to.
  static func group(of name: String, _ groups: [Group]) -> Group? {
    let module = String(name.dropLast(".weight".count))
    return groups.first { $0.targets.contains(module) } ?? groups.first { $0.targets.contains("Linear") }
      ?? (groups.count == 1 ? groups[0] : nil)
  }

  /// The config groups, or nil where their format is not `format`.
  static func readGroups(_ configuration: JSON, format: String) throws -> [Group]? {
    var result: [Group] = []
    for member in configuration["config_groups"]?.objectValue ?? [] {
      let group = member.value
      guard (group["format"]?.stringValue ?? configuration["format"]?.stringValue) == format else { return nil }
      let type = group["weights"]?["type"]?.stringValue ?? "int"
      guard let weights = group["weights"], let bits = weights["num_bits"]?.intValue,
        type == "int" || type == "float", bits == 4 || bits == 8
      else {
        throw Failure(
          .unsupported, "ct.group", "config group '\(member.key)' has weights that are neither integers nor floats of 4 or 8 bits",
          remedy: "Give the unquantized model.")
      }
      guard let level = level(weights) else {
        let strategy = weights["strategy"]?.stringValue ?? "none"
        throw Failure(
          .unsupported, "ct.strategy", "config group '\(member.key)' has strategy '\(strategy)', or sizes that do not fit it",
          remedy: "Give the unquantized model.")
      }
      let arguments = Arguments(
        isFloat: type == "float", bits: bits, isSymmetric: weights["symmetric"]?.boolValue ?? true, level: level)
      let targets = (group["targets"]?.arrayValue ?? []).compactMap(\.stringValue)
      result.append(Group(targets: targets, arguments: arguments, inputs: group["input_activations"].flatMap { inputs($0) }))
    }
    return result.isEmpty ? nil : result
  }

  private static func level(_ weights: JSON) -> Level? {
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
