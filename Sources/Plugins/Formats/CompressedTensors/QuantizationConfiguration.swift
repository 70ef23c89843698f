import FolderKit
import QuantCore

/// `quantization_config` as compressed-tensors defines it, in the few keys that all of its versions know.
///
/// Later versions refuse keys that they no longer know, and earlier ones refuse later keys: only files without either can be read
/// by all of them.
enum QuantizationConfiguration {
  static let method = "compressed-tensors"

  /// Assembles a weight from its parts by suffix; nil if parts are missing.
  typealias Layout = @Sendable (_ name: String, _ arguments: Arguments, _ parts: [String: CheckpointTensor]) throws -> CheckpointTensor?

  /// The packings that are read, alone or side by side.
  private static let layouts: [String: Layout] = [
    PackQuantized.id: IntegerWeight.packed, IntQuantized.id: IntegerWeight.bytes, FloatQuantized.id: FloatQuantized.layout.tensor,
    NVFP4PackQuantized.id: NVFP4PackQuantized.layout.tensor, MXFP4PackQuantized.id: MXFP4PackQuantized.layout.tensor,
    MXFP8Quantized.id: MXFP8Quantized.layout.tensor,
  ]

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
    /// A square of this many rows and columns.
    case block(Int)
    /// Columns of a row, beside a scale for the tensor.
    case tensorGroup(Int)
  }

  /// - Parameter format: the packing of layers that name none.
  static func json(format: String, modules: [QuantizedModule], unquantized: [String]) -> JSON? {
    guard !modules.isEmpty else { return nil }
    let formats = Set(modules.map { $0.packing ?? format })
    var schemes: [(first: QuantizedModule, names: [String])] = []
    for module in modules {
      if let index = schemes.firstIndex(where: {
        $0.first.scheme.name == module.scheme.name && $0.first.activations == module.activations && $0.first.packing == module.packing
      }) {
        schemes[index].names.append(module.name)
      } else {
        schemes.append((module, [module.name]))
      }
    }
    let targets = targets(schemes.map(\.names), unquantized)
    let groups = schemes.enumerated().map { index, entry in
      var members: [JSON.Member] = [
        .init("targets", .array(targets.groups[index].map { .string($0) })), .init("weights", weights(entry.first.scheme.grid)),
      ]
      if let activations = entry.first.activations { members.append(.init("input_activations", json(activations))) }
      // Early versions do not know this key, nor several packings in one folder.
      if formats.count > 1 { members.append(.init("format", .string(entry.first.packing ?? format))) }
      return JSON.Member("group_\(index)", .object(members))
    }
    return .object([
      .init("quant_method", .string(method)),
      .init("format", .string(formats.count == 1 ? formats.first ?? format : "mixed-precision")),
      .init("quantization_status", .string("compressed")),
      .init("config_groups", .object(groups)),
      .init("ignore", .array(targets.ignored.map { .string($0) })),
    ])
  }

  /// What stands for the layers of each scheme, and for those without one.
  private static func targets(_ schemes: [[String]], _ unquantized: [String]) -> (groups: [[String]], ignored: [String]) {
    func spelled(_ entry: LayerPatterns.Entry) -> String {
      switch entry {
      case .name(let name): name
      case .expression(let expression): "re:" + expression
      }
    }
    let ignored = LayerPatterns(besides: schemes.flatMap { $0 }).entries(for: unquantized)
    // A single scheme holds for every linear layer that is not ignored; several schemes name their layers.
    guard schemes.count > 1 else { return ([["Linear"]], ignored.map(spelled)) }
    let groups = schemes.indices.map { index in
      LayerPatterns(besides: schemes.indices.filter { $0 != index }.flatMap { schemes[$0] }).entries(for: schemes[index])
    }
    guard (groups.flatMap { $0 } + ignored).areFew else { return (schemes, ignored.map(spelled)) }
    return (groups.map { $0.map(spelled) }, ignored.map(spelled))
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
    // Without it, clients refuse 8-bit scales, or misread the exponents of powers of two as scales.
    if grid.scaleType == .f8e8m0 { members.append(.init("scale_dtype", .string("torch.uint8"))) }
    if grid.scaleType == .f8e4m3 { members.append(.init("scale_dtype", .string("torch.float8_e4m3fn"))) }
    return .object(members)
  }

  // MARK: Reading

  /// Replaces the parts of each quantized layer by one logical tensor, in the place of its first part.
  /// - Returns: nil if the configuration is not of compressed-tensors, or its first group has another packing than `format`: in a
  ///   folder with several packings, that of the first group reads them all.
  static func unpack(_ configuration: JSON, format: String, stored: [CheckpointTensor]) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == method else { return nil }
    guard let groups = try ConfigGroups(configuration), groups.first.format == format else { return nil }
    // A tensor with one of these suffixes belongs to the weight that its name begins with.
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
        try checkPlain(tensor)
        result.append(tensor)
        continue
      }
      guard done.insert(name).inserted else { continue }
      guard !groups.isIgnored(name) else {
        throw Failure(.data, "ct.ignored", "is quantized, but 'ignore' in the configuration says that it is not", tensor: name)
      }
      guard let group = groups.group(of: name) else {
        throw Failure(.data, "ct.parts", "is quantized, but no config group names it", tensor: name)
      }
      guard let layout = layouts[group.format] else {
        throw Failure(
          .unsupported, "ct.format", "has the packing '\(group.format)', which is not supported", tensor: name,
          remedy: "Give the unquantized model.")
      }
      guard let made = try layout(name, group.arguments, own) else {
        throw Failure(.data, "ct.parts", "is quantized, but codes or scales are missing", tensor: name)
      }
      result.append(made)
    }
    return result
  }

  /// - Throws: `Failure` `ct.parts` for a matrix of codes without scales.
  private static func checkPlain(_ tensor: CheckpointTensor) throws(Failure) {
    guard tensor.name.hasSuffix(".weight"), let type = tensor.storage.elementType,
      type.needsScale || type == .i8
    else { return }
    throw Failure(.data, "ct.parts", "has codes of type \(type.rawValue) but no scale", tensor: tensor.name)
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
}
