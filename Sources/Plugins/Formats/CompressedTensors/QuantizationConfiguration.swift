import QuantCore

/// `quantization_config` as compressed-tensors defines it, in the few keys that all of its versions know.
///
/// Later versions forbid keys that they do not know and earlier ones forbid later keys: what is left out is what makes a
/// file readable by all of them.
enum QuantizationConfiguration {
  /// What a config group says about weights.
  struct Arguments {
    var bits: Int
    /// Nil for one group per row.
    var groupLength: Int?
    var isSymmetric: Bool
  }

  static func json(format: String, modules: [(name: String, scheme: any Scheme)], unquantized: [String]) -> JSON? {
    guard !modules.isEmpty else { return nil }
    var schemes: [(scheme: any Scheme, names: [String])] = []
    for (name, scheme) in modules {
      if let index = schemes.firstIndex(where: { $0.scheme.name == scheme.name }) {
        schemes[index].names.append(name)
      } else {
        schemes.append((scheme, [name]))
      }
    }
    let groups = schemes.enumerated().map { index, entry in
      // One scheme is for every linear layer that is not ignored; several name their layers.
      let targets = schemes.count == 1 ? [JSON.string("Linear")] : entry.names.map { .string($0) }
      return JSON.Member("group_\(index)", .object([.init("targets", .array(targets)), .init("weights", weights(entry.scheme.grid))]))
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
      .init("type", .string("int")),
      .init("symmetric", .bool(grid.kind == .symmetricInteger)),
      .init("strategy", .string(grid.groupLength == nil ? "channel" : "group")),
    ]
    if let length = grid.groupLength { members.append(.init("group_size", .int(length))) }
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
      for suffix in ["_packed", "_scale", "_zero_point", "_shape", "_g_idx"] where tensor.name.hasSuffix(".weight" + suffix) {
        parts[String(tensor.name.dropLast(suffix.count)), default: [:]][suffix] = tensor
      }
    }
    for tensor in stored where parts[tensor.name] != nil { parts[tensor.name]?[""] = tensor }
    var result: [CheckpointTensor] = []
    var done: Set<String> = []
    for tensor in stored {
      let name = parts.keys.contains(tensor.name) ? tensor.name : owner(of: tensor.name, parts)
      guard let name, let own = parts[name] else {
        result.append(tensor)
        continue
      }
      guard done.insert(name).inserted else { continue }
      guard own["_g_idx"] == nil else {
        throw Failure(.unsupported, "ct.activation-order", "weights are grouped in the order of activations", tensor: name)
      }
      guard let arguments = arguments(for: name, groups), let made = try make(name, arguments, own) else {
        throw Failure(.data, "ct.parts", "parts of this quantized weight are missing, or no config group names it", tensor: name)
      }
      result.append(made)
    }
    return result
  }

  private static func owner(of name: String, _ parts: [String: [String: CheckpointTensor]]) -> String? {
    for suffix in ["_packed", "_scale", "_zero_point", "_shape", "_g_idx"] where name.hasSuffix(".weight" + suffix) {
      let owner = String(name.dropLast(suffix.count))
      if parts[owner] != nil { return owner }
    }
    return nil
  }

  private typealias Group = (targets: [String], arguments: Arguments)

  private static func arguments(for name: String, _ groups: [Group]) -> Arguments? {
    let module = String(name.dropLast(".weight".count))
    return (groups.first { $0.targets.contains(module) } ?? groups.first { $0.targets.contains("Linear") })?.arguments
      ?? (groups.count == 1 ? groups[0].arguments : nil)
  }

  /// The config groups, or nil where their format is not `format`.
  private static func readGroups(_ configuration: JSON, format: String) throws -> [Group]? {
    var result: [Group] = []
    for member in configuration["config_groups"]?.objectValue ?? [] {
      let group = member.value
      guard (group["format"]?.stringValue ?? configuration["format"]?.stringValue) == format else { return nil }
      guard let weights = group["weights"], weights["type"]?.stringValue ?? "int" == "int", let bits = weights["num_bits"]?.intValue,
        bits == 4 || bits == 8
      else {
        throw Failure(
          .unsupported, "ct.group", "config group '\(member.key)' has weights that are not 4- or 8-bit integers",
          remedy: "Give the unquantized model.")
      }
      let strategy = weights["strategy"]?.stringValue
      let length = weights["group_size"]?.intValue
      guard strategy == "channel" || strategy == "group" && (length ?? 0) > 0 else {
        throw Failure(
          .unsupported, "ct.strategy", "config group '\(member.key)' has strategy '\(strategy ?? "none")'",
          remedy: "Give the unquantized model.")
      }
      result.append(
        (
          (group["targets"]?.arrayValue ?? []).compactMap(\.stringValue),
          Arguments(bits: bits, groupLength: strategy == "group" ? length : nil, isSymmetric: weights["symmetric"]?.boolValue ?? true)
        ))
    }
    return result.isEmpty ? nil : result
  }
}
