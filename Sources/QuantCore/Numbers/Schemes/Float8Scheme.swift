/// FP8 codes with a scale per row, per square block, or for the whole tensor, by the rule of compressed-tensors and
/// llm-compressor.
///
/// `scale = amax / 448` (57344 for E5M2), where amax is the largest magnitude; codes are the nearest FP8 values to `w / scale`,
/// clamped, ties to even, subnormals included. A scale of 0 becomes the machine epsilon of the model's type. Amax, scale and
/// quotient are rounded to the model's type, as in a tensor library that computes in that type: so `encode` gives the codes of
/// that project, bit for bit, including the negative zeros of tiny negative weights.
///
/// Scales of square blocks may be powers of two (UE8M0), by the rule of DeepSeek-V3.1 and DeepGEMM: the smallest that is at least
/// `max(amax, 10⁻⁴) / 448`.
///
/// Parameters of a tile: the scale.
public struct Float8Scheme: ScaledFloatScheme, SharedScaleScheme {
  /// Weights that share a scale.
  public enum Level: Sendable, Hashable {
    case tensor
    /// A row: one output channel.
    case channel
    /// A square of this many rows and columns, cut at the edges of the matrix.
    case block(Int)
  }

  /// `.e4m3` or `.e5m2`.
  public let element: ShortFloat
  public let level: Level
  /// Type in which the model computes and in which scales are stored: `f32`, `f16` or `bf16`.
  public let modelType: ElementType
  /// Whether scales are powers of two, stored as their exponents.
  public let hasPowerScales: Bool
  /// Type in which scales are stored, if it is not the model's.
  private var ownScaleType: ElementType?
  /// The largest magnitude of the whole tensor, if known.
  private var largestMagnitude: Float?

  /// Nil for another element type, a block size below 1, or powers of two without square blocks. A model type that is not a 16- or
  /// 32-bit float becomes f32.
  public init?(_ element: ShortFloat, level: Level, hasPowerScales: Bool = false, modelType: ElementType) {
    guard element.bitCount == 8 else { return nil }
    if case .block(let length) = level {
      guard length >= 1 else { return nil }
    } else if hasPowerScales {
      return nil
    }
    self.hasPowerScales = hasPowerScales
    self.element = element
    self.level = level
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
  }

  public var name: String {
    let prefix = element == .e4m3 ? "fp8-" : "fp8e5m2-"
    return switch level {
    case .tensor: prefix + "tensor"
    case .channel: prefix + "channel"
    case .block(let length): prefix + "block\(length)" + (hasPowerScales ? Float8Scheme.powerSuffix : "")
    }
  }

  static let powerSuffix = "-e8m0"

  /// Type in which scales are stored.
  private var scaleType: ElementType { hasPowerScales ? .f8e8m0 : ownScaleType ?? modelType }

  /// The same scheme with scales rounded to another floating-point type instead of the model's. Powers of two stay.
  public func storing(scales type: ElementType) -> Float8Scheme {
    var scheme = self
    scheme.ownScaleType = type
    return scheme
  }

  public var grid: Grid {
    let (columns, rows): (Int?, Int?) =
      switch level {
      case .tensor: (nil, nil)
      case .channel: (nil, 1)
      case .block(let length): (length, length)
      }
    return Grid(
      kind: .scaledFloat, layout: element.rawValue, groupLength: columns, tileRows: rows, codeBits: 8,
      parameterBits: Double(scaleType.bitCount), scaleType: scaleType)
  }

  public var parameterCount: Int { 1 }

  public var quotientType: ElementType { modelType }

  public var sharing: Sharing? { level == .tensor ? .tensor : nil }

  public func fitted(largestMagnitude: Float) -> any Scheme {
    var scheme = self
    if level == .tensor { scheme.largestMagnitude = largestMagnitude }
    return scheme
  }

  public func fit(largestMagnitude: Float, into parameters: UnsafeMutablePointer<Float>) {
    let largest = NumberConversion.rounded(self.largestMagnitude ?? largestMagnitude, to: modelType)
    if hasPowerScales, largest.isFinite {
      let ratio = max(largest, 1e-4) / element.largest
      parameters[0] = Float(sign: .plus, exponent: Int(ratio.exponent) + (ratio.significand > 1 ? 1 : 0), significand: 1)
      return
    }
    let scale = NumberConversion.rounded(largest / element.largest, to: scaleType)
    parameters[0] = scale == 0 ? modelType.machineEpsilon : scale
  }

  public func multiplier(_ parameters: UnsafePointer<Float>) -> Float { parameters[0] }

  /// A scale for more weights is repeated for each tile within them: every value stays.
  public func repacking(of source: any Scheme) -> Repacking? {
    if source.grid == grid { return .identity }
    guard let source = source as? Float8Scheme, source.element == element, source.spans(self), holdsScales(of: source) else { return nil }
    return Repacking(.exact) { panel in
      var result = emptyPanel(rows: panel.rows, columns: panel.columns)
      result.codes = panel.codes
      for row in stride(from: 0, to: panel.rows, by: result.tileRows) {
        for group in 0..<result.groupsPerRow {
          let scale = panel.parameters[panel.parameterIndex(row: row, group: group * result.groupLength / panel.groupLength)]
          result.parameters[result.parameterIndex(row: row, group: group)] = scale
        }
      }
      return result
    }
  }

  /// Whether scales of another scheme can be stored. Every power of two fits every type except F16.
  private func holdsScales(of other: Float8Scheme) -> Bool {
    if other.hasPowerScales { return hasPowerScales || modelType != .f16 }
    return !hasPowerScales && NumberConversion.holds(modelType, allOf: other.modelType)
  }

  /// Whether each tile of another scheme lies within one tile of this.
  private func spans(_ other: Float8Scheme) -> Bool {
    switch (level, other.level) {
    case (.tensor, _): true
    case (.channel, .channel): true
    case (.block(let own), .block(let length)): own.isMultiple(of: length)
    default: false
    }
  }
}

/// FP8 by the rule of compressed-tensors.
public enum Float8Schemes: SchemeProvider {
  public static let id = "float8"
  public static let summary = "FP8 (E4M3, or E5M2) with a scale per channel, per square block, or for the whole tensor."
  public static let reference = "https://github.com/vllm-project/compressed-tensors; arXiv 2209.05433"
  public static let schemeNames = [
    "fp8-channel", "fp8-blockN", "fp8-blockN-e8m0", "fp8-tensor", "fp8e5m2-channel", "fp8e5m2-blockN", "fp8e5m2-tensor",
  ]

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    let hasPowerScales = name.hasSuffix(Float8Scheme.powerSuffix)
    let words = name.dropLast(hasPowerScales ? Float8Scheme.powerSuffix.count : 0).split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 2, words[0] == "fp8" || words[0] == "fp8e5m2" else { return nil }
    let element: ShortFloat = words[0] == "fp8" ? .e4m3 : .e5m2
    switch words[1] {
    case "tensor" where !hasPowerScales: return Float8Scheme(element, level: .tensor, modelType: modelType)
    case "channel" where !hasPowerScales: return Float8Scheme(element, level: .channel, modelType: modelType)
    default:
      // Digits only, and no leading zero: one name for one scheme.
      guard words[1].hasPrefix("block"), let length = Int(words[1].dropFirst(5)), "block\(length)" == words[1], length <= 1 << 12
      else { return nil }
      return Float8Scheme(element, level: .block(length), hasPowerScales: hasPowerScales, modelType: modelType)
    }
  }
}
