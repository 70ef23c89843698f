import FolderKit
public import QuantCore

/// The packing that AutoGPTQ introduced and that GPTQModel, transformers and vLLM read, first version (`checkpoint_format: gptq`).
///
/// For a matrix `X.weight [out, in]` with `b` bits, 2, 3, 4 or 8: `X.qweight` I32 `[in * b / 32, out]`, codes packed down the
/// inputs; `X.qzeros` I32 `[groups, out * b / 32]`, packed along the outputs; `X.scales` F16 `[groups, out]` for any
/// type of the model; `X.g_idx` I32 `[in]`, the group of each input. 3-bit codes fill three words without a gap.
///
/// The trap: zero points are stored minus one. A zero point of 0 wraps around, for 2, 4 and 8 bits with a borrow from its
/// neighbour. GPTQModel, and transformers through it, undoes that; other clients do not. vLLM reads only symmetric groups of 4
/// and 8 bits.
public struct GPTQVersion1: FolderPacking, Unpacker, GPTQPacking {
  public static let id = "gptq"
  public static let traces = [".g_idx"]
  public static let summary = "GPTQ's packing, zero points stored minus one, for GPTQModel, transformers and vLLM."
  public static let reference = "https://github.com/ModelCloud/GPTQModel"
  static let zeros = GPTQZeros.minusOne

  public init() {}
}

/// The second version of GPTQ's packing (`checkpoint_format: gptq_v2`): `GPTQVersion1` with zero points stored unchanged.
public struct GPTQVersion2: FolderPacking, Unpacker, GPTQPacking {
  public static let id = "gptq_v2"
  public static let summary = "GPTQ's packing, zero points stored unchanged, for GPTQModel, transformers and vLLM."
  public static let reference = "https://github.com/ModelCloud/GPTQModel"
  static let zeros = GPTQZeros.plain

  public init() {}
}

/// How zero points are stored.
enum GPTQZeros {
  case plain
  case minusOne

  /// What is subtracted from each word of zero points. Zero points that cross words are changed one by one instead.
  func wordOffset(bits: Int) -> UInt32 {
    guard self == .minusOne, 32.isMultiple(of: bits) else { return 0 }
    return stride(from: UInt32(0), to: 32, by: bits).reduce(0) { $0 | 1 << $1 }
  }

  /// What is subtracted from each zero point.
  func codeOffset(bits: Int) -> UInt32 { self == .minusOne && !32.isMultiple(of: bits) ? 1 : 0 }

  /// The zero points of a matrix.
  /// - Returns: nil if the words do not hold as many.
  func points(_ words: ByteView, bits: Int, outputs: Int, groups: Int) -> PackedIntegers? {
    let layout = WordLayout(bits: bits)
    return PackedIntegers(
      words, layout: layout, length: outputs, lines: groups, wordStride: 1, lineStride: layout.words(for: outputs),
      wordAddend: wordOffset(bits: bits), codeAddend: codeOffset(bits: bits))
  }

  var other: GPTQZeros { self == .plain ? .minusOne : .plain }
}

/// What the two versions share.
protocol GPTQPacking: FolderPacking, Unpacker {
  static var zeros: GPTQZeros { get }
}

extension GPTQPacking {
  public func holds(_ grid: Grid) -> Bool {
    let isInteger = grid.kind == .symmetricInteger || grid.kind == .asymmetricInteger
    return isInteger && [2, 3, 4, 8].contains(grid.codeBits) && grid.scaleType == .f16
  }

  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? IntegerScheme)?.storing(scales: .f16) ?? scheme }

  public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
    TransposedIntegers.obstacle([("rows", shape.first ?? 0), ("columns", shape.last ?? 0)], layout: layout(scheme))
  }

  public func caution(_ scheme: any Scheme) -> String? {
    let grid = scheme.grid
    guard grid.kind == .asymmetricInteger || grid.codeBits < 4 else { return nil }
    return "only GPTQModel, and transformers through it, reads \(scheme.name) packed as GPTQ; vLLM reads symmetric groups of 4 and 8 bits"
  }

  /// Whole words of zero points.
  public var rowMultiple: Int { 32 }

  private func layout(_ scheme: any Scheme) -> WordLayout { WordLayout(bits: Int(scheme.grid.codeBits)) }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    let matrix = TransposedIntegers(shape: shape, scheme: scheme, layout: layout(scheme))
    let module = QuantizedModule.name(ofWeight: name) + "."
    return [
      matrix.part(module + "qweight", lines: matrix.layout.words(for: matrix.columns), width: matrix.rows, type: .i32),
      matrix.part(module + "qzeros", lines: matrix.groups, width: matrix.layout.words(for: matrix.rows), type: .i32),
      matrix.part(module + "scales", lines: matrix.groups, width: matrix.rows, type: .f16),
      StoredPart(name: module + "g_idx", shape: [matrix.columns], type: .element(.i32), byteCount: matrix.columns * 4),
    ]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    let matrix = TransposedIntegers(shape: shape, scheme: scheme, layout: layout(scheme))
    let bits = matrix.layout.bits
    let (inWords, inCodes) = (Self.zeros.wordOffset(bits: bits), Self.zeros.codeOffset(bits: bits))
    let zeros = matrix.wordsOfZeros(panel) { $0 &- inCodes }.map { $0 &- inWords }
    let length = scheme.groupLength(columns: matrix.columns)
    let groups = rows.lowerBound == 0 ? (0..<matrix.columns).map { UInt32($0 / max(1, length)) } : []
    return [
      matrix.wordsOfInputs(panel).littleEndianBytes, zeros.littleEndianBytes, matrix.scales(panel, as: .f16), groups.littleEndianBytes,
    ]
  }

  public func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    GPTQConfiguration.json(format: Self.id, modules: modules, unquantized: unquantized)
  }

  public func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
    guard let configuration = try GPTQConfiguration(configuration), configuration.zeros == Self.zeros else { return nil }
    return try PackedModules.unpack(stored, method: "GPTQ") { module, parts in
      try GPTQWeight.tensor(module, configuration.settings(of: module), parts: parts, zeros: Self.zeros)
    }
  }

  public func expectsQuantized(_ module: String, configuration: JSON) -> Bool? {
    (try? GPTQConfiguration(configuration))?.expectsQuantized(module)
  }

  public func findings(configuration: JSON, stored: [CheckpointTensor]) -> [Finding] {
    guard let known = try? GPTQConfiguration(configuration), known.zeros == Self.zeros else { return [] }
    // AutoRound's own kernels need no `g_idx`.
    let isAutoRound = configuration["packing_format"]?.stringValue != nil
    return GPTQFindings(
      known, stated: Self.id, isActivationOrder: configuration["desc_act"]?.boolValue == true, needsOrder: !isAutoRound
    ).all(stored)
  }
}
