import CKernels

/// Groups of integers of 2 to 8 bits with a scale, and a zero point if the group is asymmetric, by the rule of
/// compressed-tensors and llm-compressor.
///
/// - The range of a group always includes 0. Symmetric: `scale = amax / ((2^b - 1) / 2)`, where amax is the largest magnitude,
///   codes from `-2^(b-1)` to `2^(b-1) - 1`. Asymmetric: `scale = (max - min) / (2^b - 1)`, `zero = round(-min / scale)`, codes
///   from 0 to `2^b - 1`.
/// - A scale of 0 (a group of zeros) becomes the machine epsilon of the model's type.
/// - Every operation is rounded to the model's type, as in a tensor library that computes in that type, and ties go to
///   even: so `encode` gives the codes of that project. Only `nearest` computes in 32 bits, where the code that it finds
///   really is the nearest to a weight; an 8-bit code of a bfloat16 quotient often is not.
///
/// For formats that store scales in another type than the model's, the arithmetic is done in 32 bits and the scale rounded once.
///
/// The wider search takes the range of each group with the smallest squared error instead (`IntegerRange`); only it uses importance.
///
/// Parameters of a tile: the scale, and for an asymmetric group the zero point (0 to `2^b - 1`).
public struct IntegerScheme: Scheme {
  /// Bits of a code: 2 to 8.
  public let bits: Int
  /// Columns that share a scale; nil for a whole row.
  public let groupLength: Int?
  /// Whether there is no zero point.
  public let isSymmetric: Bool
  /// Type in which the rule computes: `f32`, `f16` or `bf16`.
  public let modelType: ElementType
  /// Type in which scales are stored: `f32`, `f16` or `bf16`.
  public let scaleType: ElementType
  private var isWide = false

  /// Nil for a width below 2 or above 8, or a group size below 1. A type that is not a 16- or 32-bit float becomes f32.
  /// - Parameter scaleType: nil: the model's type.
  public init?(bits: Int, groupLength: Int?, isSymmetric: Bool, modelType: ElementType, scaleType: ElementType? = nil) {
    guard (2...8).contains(bits), (groupLength ?? 1) >= 1 else { return nil }
    func float(_ type: ElementType) -> ElementType { type == .f16 || type == .bf16 ? type : .f32 }
    self.bits = bits
    self.groupLength = groupLength
    self.isSymmetric = isSymmetric
    self.modelType = float(modelType)
    self.scaleType = float(scaleType ?? modelType)
  }

  /// The same integers with scales in another type, with arithmetic in 32 bits; or this scheme, if it has that type already.
  public func storing(scales type: ElementType) -> IntegerScheme {
    if type == scaleType { return self }
    return IntegerScheme(bits: bits, groupLength: groupLength, isSymmetric: isSymmetric, modelType: .f32, scaleType: type) ?? self
  }

  public var widerSearch: (any Scheme)? {
    var wide = self
    wide.isWide = true
    return wide
  }

  public var name: String {
    "int\(bits)-" + (groupLength.map { "g\($0)" } ?? "channel") + (isSymmetric ? "" : "-asym")
  }

  public var grid: Grid {
    Grid(
      kind: isSymmetric ? .symmetricInteger : .asymmetricInteger, groupLength: groupLength, codeBits: Double(bits),
      parameterBits: Double(scaleType.bitCount + (isSymmetric ? 0 : bits)), scaleType: scaleType)
  }

  public var parameterCount: Int { isSymmetric ? 1 : 2 }

  public var adjustableParameters: [AdjustableParameter] {
    let zero = isSymmetric ? [] : [AdjustableParameter(1, storage: .integer(0...Int(highest)))]
    return zero + .factors(1, stored: scaleType)
  }

  /// Smallest code: negative if codes are signed.
  var lowest: Float { isSymmetric ? -Float(1 << (bits - 1)) : 0 }
  var highest: Float { isSymmetric ? Float(1 << (bits - 1)) - 1 : Float(1 << bits) - 1 }
  private var steps: Float { Float(1 << bits) - 1 }
  /// Half the number of codes: the signed numbering, in which the rule computes, runs from its negative.
  private var half: Float { Float(1 << (bits - 1)) }
  /// The model's type among the C kernels.
  private var kernelType: Int32 {
    switch modelType {
    case .bf16: Int32(QC_BFLOAT)
    case .f16: Int32(QC_HALF)
    default: Int32(QC_FLOAT)
    }
  }

  public func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    if isWide { return nearest(panel, columns: 0..<panel.columns, into: &result) }
    let length = result.groupLength
    let groups = result.groupsPerRow
    for row in 0..<panel.rows {
      let source = panel.row(row)
      for group in 0..<groups {
        let position = result.parameterIndex(row: row, group: group)
        let scale = result.parameters[position]
        let zero = isSymmetric ? 0 : result.parameters[position + 1] - half
        let start = group * length
        result.codes.withUnsafeMutableBufferPointer { codes in
          guard let base = codes.baseAddress else { return }
          qc_integer_codes(
            source + start, length, scale, zero, half, isSymmetric ? 0 : Int32(half), kernelType, base + row * panel.columns + start)
        }
      }
    }
  }

  /// Works in one pass over each group, without codes.
  public func roundTrip(_ panel: Panel, importance: [Float]?, into destination: UnsafeMutablePointer<Float>) {
    if isWide {
      var quantized = emptyPanel(rows: panel.rows, columns: panel.columns)
      encode(panel, importance: importance, into: &quantized)
      return value(quantized, columns: 0..<panel.columns, into: destination)
    }
    let length = max(1, groupLength ?? panel.columns)
    for row in 0..<panel.rows {
      for start in stride(from: 0, to: panel.columns / length * length, by: length) {
        let source = panel.row(row) + start
        let (scale, zero) = parameters(source, length)
        qc_integer_values(
          source, length, scale, isSymmetric ? 0 : zero - half, half, kernelType, destination + row * panel.columns + start)
      }
    }
  }

  /// The rule does not use importance: it depends only on the extremes of a group.
  public func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    guard let importance else { return fit(panel, nil, into: &result) }
    importance.withUnsafeBufferPointer { fit(panel, $0.baseAddress, into: &result) }
  }

  private func fit(_ panel: Panel, _ importance: UnsafePointer<Float>?, into result: inout QuantizedPanel) {
    let length = result.groupLength
    for row in 0..<panel.rows {
      let source = panel.row(row)
      for group in 0..<result.groupsPerRow {
        let first = group * length
        var (scale, zero) = parameters(source + first, length)
        if isWide {
          let range = IntegerRange(source + first, importance.map { $0 + first }, length, of: self)
          (scale, zero) = range.best(startingWith: (scale, zero))
        }
        let position = result.parameterIndex(row: row, group: group)
        result.parameters[position] = scale
        if !isSymmetric { result.parameters[position + 1] = zero }
      }
    }
  }

  /// Scale and zero point of a group.
  private func parameters(_ group: UnsafePointer<Float>, _ length: Int) -> (scale: Float, zero: Float) {
    var minimum: Float = 0, maximum: Float = 0
    qc_extremes(group, length, &minimum, &maximum)
    return parameters(
      minimum: NumberConversion.rounded(minimum, to: modelType), maximum: NumberConversion.rounded(maximum, to: modelType))
  }

  /// Scale and zero point of a range with `minimum <= 0 <= maximum`.
  private func parameters(minimum: Float, maximum: Float) -> (scale: Float, zero: Float) {
    func rounded(_ value: Float) -> Float { NumberConversion.rounded(value, to: modelType) }
    func stored(_ value: Float) -> Float { NumberConversion.rounded(rounded(value), to: scaleType) }
    guard !isSymmetric else {
      let scale = stored(max(-minimum, maximum) / (steps / 2))
      return (scale == 0 ? scaleType.machineEpsilon : scale, 0)
    }
    let scale = stored(rounded(maximum - minimum) / steps)
    // Without a range there is no quotient; the middle of the codes then means 0.
    guard scale != 0 else { return (scaleType.machineEpsilon, half) }
    let zero = rounded(-half - rounded(minimum / scale))
    return (scale, Float(IntegerScheme.code(zero, -half, half - 1)) + half)
  }

  public func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    let length = result.groupLength
    for row in 0..<panel.rows {
      let source = panel.row(row)
      for column in columns {
        let position = result.parameterIndex(row: row, group: column / length)
        let zero = isSymmetric ? 0 : result.parameters[position + 1]
        let scaled = source[column] / result.parameters[position] + zero
        result.codes[row * result.columns + column] = IntegerScheme.code(scaled, lowest, highest)
      }
    }
  }

  public func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    quantized.codes.withUnsafeBufferPointer { codes in
      guard let codes = codes.baseAddress else { return }
      quantized.forEachTile(in: columns) { row, part, parameter in
        let start = row * quantized.columns + part.lowerBound
        qc_integer_code_values(
          codes + start, part.count, quantized.parameters[parameter], isSymmetric ? 0 : quantized.parameters[parameter + 1],
          destination + start)
      }
    }
  }

  /// Clamped, then rounded half to even. NaN counts as 0, so that no input can trap.
  @inline(__always) private static func code(_ value: Float, _ low: Float, _ high: Float) -> Int32 {
    let clamped = max(low, min(high, value.isNaN ? 0 : value))
    // Adding and subtracting 1.5 * 2^23 rounds a small value half to even.
    return Int32((clamped + 0x1.8p23) - 0x1.8p23)
  }
}

extension QuantizedPanel {
  /// The scale of the tile that holds a row in a group.
  public func scale(row: Int, group: Int) -> Float { parameters[parameterIndex(row: row, group: group)] }

  /// Zero point of a group of asymmetric integers: the second of its parameters.
  public func zeroPoint(row: Int, group: Int) -> UInt32 {
    let zero = parameters[parameterIndex(row: row, group: group) + 1]
    return zero > 0 ? UInt32(min(zero, 255)) : 0
  }
}

extension NumberConversion {
  /// `value` as it is after being stored in `type` (`f16`, `bf16`; any other type keeps it).
  public static func rounded(_ value: Float, to type: ElementType) -> Float {
    switch type {
    case .bf16: float(bfloat: bfloat(value))
    case .f16: float(half: half(value))
    default: value
    }
  }

  /// Whether one of these types (`f16`, `bf16`, `f32`) holds every value of another.
  static func holds(_ type: ElementType, allOf other: ElementType) -> Bool {
    type == other || type == .f32 && other.isFloat && other != .f64
  }
}

/// Integer groups and channels by the rule of compressed-tensors.
public enum IntegerSchemes: SchemeProvider {
  public static let id = "integer"
  public static let summary = "Integers of 2 to 8 bits with a scale per group or channel, symmetric or with a zero point."
  public static let reference = "https://github.com/vllm-project/compressed-tensors"
  public static let schemeNames = ["", "-asym"].flatMap { zero in
    ["gN", "channel"].flatMap { level in (2...8).map { "int\($0)-\(level)\(zero)" } }
  }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    var words = name.split(separator: "-", omittingEmptySubsequences: false)
    let isAsymmetric = words.count == 3 && words[2] == "asym"
    if isAsymmetric { words.removeLast() }
    guard words.count == 2, let bits = (2...8).first(where: { words[0] == "int\($0)" }) else { return nil }
    if words[1] == "channel" {
      return IntegerScheme(bits: bits, groupLength: nil, isSymmetric: !isAsymmetric, modelType: modelType)
    }
    // Digits only, and no leading zero: one name for one scheme.
    guard words[1].first == "g", let length = Int(words[1].dropFirst()), "g\(length)" == words[1], length <= 1 << 20 else { return nil }
    return IntegerScheme(bits: bits, groupLength: length, isSymmetric: !isAsymmetric, modelType: modelType)
  }
}
