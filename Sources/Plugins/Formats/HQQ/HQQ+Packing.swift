public import QuantCore

extension HQQ: FolderPacking {
  public static var defaultScheme: String? { "hqq4-g64" }

  public func holds(_ grid: Grid) -> Bool { grid.kind == .block && grid.layout == HQQScheme.layout }

  /// Slabs share bytes, so the groups must fill all of them.
  public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
    let layout = Layout(shape: shape, grid: scheme.grid)
    return layout.groups.isMultiple(of: layout.slabs) ? nil : "\(layout.groups) groups do not fill \(layout.slabs) equal slabs"
  }

  /// How the groups of a matrix are laid out.
  private struct Layout {
    let bits: Int
    let length: Int
    let groups: Int
    let slabs: Int

    init(shape: [Int], grid: Grid) {
      bits = max(1, Int(grid.codeBits))
      length = max(1, grid.groupLength ?? 1)
      groups = shape.reduce(1, *) / length
      slabs = 8 / bits
    }
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let layout = Layout(shape: shape, grid: scheme.grid), module = QuantizedModule.name(ofWeight: name), type = scheme.grid.scaleType
    let rows = layout.groups / layout.slabs
    func numbers(_ part: String) -> StoredPart {
      StoredPart(
        name: "\(module).\(part)", shape: [layout.groups, 1], type: .element(type), byteCount: layout.groups * type.bitCount / 8)
    }
    let codes = StoredPart(
      name: "\(module).\(HQQ.codesName)", shape: [rows, layout.length], type: .element(.u8), byteCount: rows * layout.length,
      order: .overlaid(layout.slabs))
    return [codes, numbers("scale"), numbers("zero")]
      + settings(shape: shape, grid: scheme.grid).map { setting in
        StoredPart(
          name: "\(module).\(setting.name)", shape: setting.shape, type: .element(setting.type), byteCount: setting.bytes.count)
      }
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let layout = Layout(shape: shape, grid: scheme.grid), type = scheme.grid.scaleType
    let slabCodes = layout.groups / layout.slabs * layout.length, first = rows.lowerBound * panel.columns
    let codes = panel.codes.enumerated().map { index, code in
      UInt8(truncatingIfNeeded: code << Int32(8 - layout.bits * ((first + index) / slabCodes + 1)))
    }
    func numbers(_ offset: Int) -> [UInt8] {
      NumberConversion.bytes(of: stride(from: offset, to: panel.parameters.count, by: 2).map { panel.parameters[$0] }, as: type)
    }
    let isFirst = rows.lowerBound == 0
    return [codes, numbers(0), numbers(1)] + settings(shape: shape, grid: scheme.grid).map { isFirst ? $0.bytes : [] }
  }

  /// What the library stores for a layer besides codes and parameters, each as a tensor.
  private func settings(shape: [Int], grid: Grid) -> [(name: String, shape: [Int], type: ElementType, bytes: [UInt8])] {
    func int(_ name: String, _ value: Int) -> (String, [Int], ElementType, [UInt8]) {
      (name, [], .i32, (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
    }
    func flag(_ name: String, _ value: Bool) -> (String, [Int], ElementType, [UInt8]) { (name, [], .u8, [value ? 1 : 0]) }
    func text(_ name: String, _ value: String) -> (String, [Int], ElementType, [UInt8]) {
      (name, [value.utf8.count], .u8, Array(value.utf8))
    }
    let bits = Int(grid.codeBits)
    let sizes = shape.flatMap { size in (0..<8).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) } }
    return [
      ("shape", [shape.count], .i64, sizes), int("nbits", bits), int("group_size", grid.groupLength ?? 0), int("axis", 1),
      text("packing", "\(bits)bit_u8"), text("unpack_view_dtype", "torch.uint8"), text("compute_dtype", HQQ.name(of: grid.scaleType)),
      flag("view_as_float", false), flag("quant_scale", false), flag("quant_zero", false), flag("offload_meta", false),
      flag("encoded_state_dict", true), flag("stores_quant_config", true), flag("channel_wise", true), flag("optimize", true),
      flag("round_zero", bits == 4),
    ]
  }

  /// What PyTorch calls a type.
  private static func name(of type: ElementType) -> String {
    switch type {
    case .bf16: "torch.bfloat16"
    case .f16: "torch.float16"
    default: "torch.float32"
    }
  }

  /// What transformers reads; the library itself reads the settings beside each layer.
  /// - Throws: `Failure` `hqq.mixed` for layers on different grids.
  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    guard let first = modules.first else { return nil }
    if let other = modules.first(where: { $0.scheme.grid != first.scheme.grid }) {
      throw Failure(
        .unsupported, "hqq.mixed",
        "is \(other.scheme.name) and others are \(first.scheme.name), but the configuration of an HQQ folder describes only one of them",
        tensor: other.name, remedy: "Choose one of the two for all layers.")
    }
    let grid = first.scheme.grid, bits = Int(grid.codeBits)
    let weights: [JSON.Member] = [
      .init("nbits", .int(bits)), .init("channel_wise", .bool(true)), .init("group_size", .int(grid.groupLength ?? 0)),
      .init("optimize", .bool(true)), .init("round_zero", .bool(bits == 4)), .init("axis", .int(1)), .init("view_as_float", .bool(false)),
    ]
    return .object([
      .init("quant_method", .string(HQQ.id)),
      .init(
        "quant_config",
        .object([
          .init("weight_quant_params", .object(weights)), .init("scale_quant_params", .null), .init("zero_quant_params", .null),
          .init("offload_meta", .bool(false)),
        ])),
      .init("skip_modules", .array(unquantized.map { .string($0) })),
    ])
  }
}
