public import QuantCore

/// The tensors of bitsandbytes, as transformers stores and loads them.
///
/// 4 bits (`nf4`, `fp4`), for a matrix `X.weight [out, in]` of n weights, row after row in blocks of B:
///
/// - `X.weight` U8 `[n / 2, 1]`: two codes per byte, the first in the **high** nibble;
/// - `X.weight.absmax` F32 `[n / B]`: the largest magnitude of each block;
/// - `X.weight.quant_map` F32 `[16]`: the table;
/// - `X.weight.quant_state.bitsandbytes__nf4` (or `__fp4`) U8: the text of a JSON object with shape, B and the model's type.
///
/// If magnitudes are codes themselves ("double quantization", see `NestedMagnitudes`), `absmax` is U8, with
/// `X.weight.nested_absmax` F32 `[n / B / 256]` and `X.weight.nested_quant_map` F32 `[256]` beside it.
///
/// 8 bits (`llm-int8`): `X.weight` I8 `[out, in]`, `X.SCB` F32 `[out]`, `X.weight_format` U8 `[]` (0: rows in order).
/// The trap: `SCB` is the largest magnitude of a row, 127 times its scale.
public struct BitsAndBytes: FolderPacking, Unpacker {
  public static let id = "bitsandbytes"
  public static let traces = [".quant_state.bitsandbytes__", ".SCB"]
  public static let summary = "4-bit tables and 8-bit integers, as bitsandbytes and transformers read them."
  public static let reference = "https://github.com/bitsandbytes-foundation/bitsandbytes"

  static let magnitudesSuffix = ".absmax"
  static let tableSuffix = ".quant_map"
  static let stateSuffix = ".quant_state.bitsandbytes__"
  static let rowMagnitudesName = "SCB"
  static let orderName = "weight_format"

  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    FourBitType(rawValue: grid.layout) != nil && grid.kind == .scaledFloat || grid.layout == LLMInt8Scheme.schemeName
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let rows = shape.first ?? 0
    let count = shape.reduce(1, *)
    guard let scheme = scheme as? FourBitScheme else {
      let module = QuantizedModule.name(ofWeight: name)
      return [
        StoredPart(name: name, shape: shape, type: .element(.i8), byteCount: count),
        StoredPart(name: "\(module).\(BitsAndBytes.rowMagnitudesName)", shape: [rows], type: .element(.f32), byteCount: rows * 4),
        StoredPart(name: "\(module).\(BitsAndBytes.orderName)", shape: [], type: .element(.u8), byteCount: 1),
      ]
    }
    let blocks = count / scheme.blockLength
    let state = FourBitState(scheme: scheme, shape: shape).text.utf8.count
    func numbers(_ suffix: String, _ count: Int) -> StoredPart {
      StoredPart(name: name + suffix, shape: [count], type: .element(.f32), byteCount: count * 4)
    }
    let magnitudes =
      scheme.isNested
      ? StoredPart(name: name + BitsAndBytes.magnitudesSuffix, shape: [blocks], type: .element(.u8), byteCount: blocks)
      : numbers(BitsAndBytes.magnitudesSuffix, blocks)
    let nested = [
      numbers(BlockMagnitudes.nestedSuffix, (blocks + NestedMagnitudes.blockLength - 1) / NestedMagnitudes.blockLength),
      numbers(BlockMagnitudes.nestedTableSuffix, NestedMagnitudes.table.count),
    ]
    return [
      StoredPart(name: name, shape: [count / 2, 1], type: .element(.u8), byteCount: count / 2),
      magnitudes, numbers(BitsAndBytes.tableSuffix, 16),
      StoredPart(name: name + BitsAndBytes.stateSuffix + scheme.type.rawValue, shape: [state], type: .element(.u8), byteCount: state),
    ] + (scheme.isNested ? nested : [])
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    func bytes(_ values: [Float]) -> [UInt8] { NumberConversion.bytes(of: values, as: .f32) }
    let isFirst = rows.lowerBound == 0
    guard let scheme = scheme as? FourBitScheme else {
      return [panel.codes.map { UInt8(truncatingIfNeeded: $0) }, bytes(panel.parameters), isFirst ? [0] : []]
    }
    let codes = stride(from: 0, to: panel.codes.count, by: 2).map { index in
      UInt8(truncatingIfNeeded: panel.codes[index] << 4 | panel.codes[index + 1])
    }
    let table = isFirst ? bytes(scheme.type.values) : [], state = isFirst ? Array(FourBitState(scheme: scheme, shape: shape).text.utf8) : []
    guard scheme.isNested else { return [codes, bytes(panel.parameters), table, state] }
    let nested = stride(from: 1, to: panel.parameters.count, by: 2).map { UInt8(panel.parameters[$0]) }
    return [
      codes, nested, table, state, isFirst ? bytes(scheme.nested?.factors ?? []) : [], isFirst ? bytes(NestedMagnitudes.table) : [],
    ]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    guard let first = modules.first else { return nil }
    func kind(_ scheme: any Scheme) -> String {
      (scheme as? FourBitScheme).map { $0.type.rawValue + ($0.isNested ? FourBitScheme.nestedSuffix : "") } ?? scheme.name
    }
    if let other = modules.first(where: { kind($0.scheme) != kind(first.scheme) }) {
      throw Failure(
        .unsupported, "bnb.mixed",
        "is \(other.scheme.name) and others are \(first.scheme.name), but a bitsandbytes folder holds only one kind of codes",
        tensor: other.name, remedy: "Choose one of the two for all layers.")
    }
    let fourBit = first.scheme as? FourBitScheme
    let modelType = fourBit?.modelType ?? (first.scheme as? LLMInt8Scheme)?.modelType ?? .f32
    var members: [JSON.Member] = [
      .init("quant_method", .string(BitsAndBytes.id)),
      .init("load_in_4bit", .bool(fourBit != nil)),
      .init("load_in_8bit", .bool(fourBit == nil)),
      .init("llm_int8_skip_modules", .array(unquantized.map { .string($0) })),
    ]
    if let fourBit {
      members += [
        .init("bnb_4bit_quant_type", .string(fourBit.type.rawValue)),
        .init("bnb_4bit_use_double_quant", .bool(fourBit.isNested)),
        .init("bnb_4bit_compute_dtype", .string(FourBitState.name(of: modelType))),
        .init("bnb_4bit_quant_storage", .string("uint8")),
      ]
    } else {
      // Clients insist on a floating-point number.
      members.append(.init("llm_int8_threshold", .double(6)))
    }
    return .object(members)
  }

  // MARK: - Reading

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard configuration["quant_method"]?.stringValue == BitsAndBytes.id else { return nil }
    var parts: [String: [String: CheckpointTensor]] = [:]
    var owners: [String: String] = [:]
    for tensor in stored {
      guard let (owner, part) = BitsAndBytes.owner(of: tensor.name) else { continue }
      owners[tensor.name] = owner
      parts[owner, default: [:]][part] = tensor
    }
    let weights = Dictionary(stored.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    var result: [CheckpointTensor] = []
    for tensor in stored {
      if let owner = owners[tensor.name] {
        guard weights[owner] != nil else {
          throw Failure(.data, "bnb.parts", "belongs to '\(owner)', which is missing", tensor: tensor.name)
        }
        continue
      }
      if let own = parts[tensor.name] {
        result.append(
          own[BitsAndBytes.rowMagnitudesName] != nil || own[BitsAndBytes.orderName] != nil
            ? try RowStorage.tensor(tensor, parts: own) : try FourBitStorage.tensor(tensor, parts: own))
        continue
      }
      // Unquantized weights are floats; codes without their parameters would pass for data.
      guard tensor.shape.count < 2 || tensor.storage.elementType?.isFloat != false else {
        throw Failure(
          .data, "bnb.parts", "holds codes, but has neither a state (quant_state) nor magnitudes of rows (SCB)", tensor: tensor.name)
      }
      result.append(tensor)
    }
    return result
  }

  /// The weight that a stored tensor belongs to and which part of it this is, or nil if it is none.
  private static func owner(of name: String) -> (weight: String, part: String)? {
    for suffix in [magnitudesSuffix, tableSuffix, BlockMagnitudes.nestedSuffix, BlockMagnitudes.nestedTableSuffix]
    where name.hasSuffix(".weight" + suffix) {
      return (String(name.dropLast(suffix.count)), suffix)
    }
    for type in FourBitType.allCases where name.hasSuffix(".weight" + stateSuffix + type.rawValue) {
      let suffix = stateSuffix + type.rawValue
      return (String(name.dropLast(suffix.count)), suffix)
    }
    for part in [rowMagnitudesName, orderName] where name.hasSuffix("." + part) {
      return (name.dropLast(part.count) + "weight", part)
    }
    return nil
  }
}
