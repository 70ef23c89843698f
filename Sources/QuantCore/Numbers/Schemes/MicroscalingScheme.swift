/// Groups of 32 short floats under a power of two: `mxfp4` (E2M1) and `mxfp8` (E4M3) of the OCP Microscaling formats, by the rule
/// of compressed-tensors.
///
/// `scale = 2^(e - 2)` (`2^(e - 8)` for E4M3), where `2^e` is the largest power of two that is not above the largest magnitude, or
/// the next one if the mantissa is 1.75 or more. Codes are the nearest values to `w / scale`, clamped to 6 (448), ties to even. The
/// division is exact, so it does not matter in which type the model computes.
///
/// Parameters of a tile: the scale. Specification: OCP Microscaling Formats 1.0, §5.
public struct MicroscalingScheme: ScaledFloatScheme {
  /// `.e2m1` or `.e4m3`.
  public let element: ShortFloat
  /// Type in which the model computes.
  public let modelType: ElementType

  /// Weights that share a scale.
  public static let length = 32

  /// Nil for another element type. A model type that is not a 16- or 32-bit float becomes f32.
  public init?(_ element: ShortFloat, modelType: ElementType) {
    guard element == .e2m1 || element == .e4m3 else { return nil }
    self.element = element
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
  }

  public var name: String { element == .e2m1 ? "mxfp4" : "mxfp8" }
  public var grid: Grid {
    Grid(
      kind: .scaledFloat, layout: element.rawValue, groupLength: MicroscalingScheme.length, codeBits: Double(element.bitCount),
      parameterBits: 8, scaleType: .f8e8m0)
  }
  public var parameterCount: Int { 1 }
  public var quotientType: ElementType { .f32 }

  public func fit(largestMagnitude: Float, into parameters: UnsafeMutablePointer<Float>) {
    let raised = NumberConversion.rounded(largestMagnitude, to: modelType).bitPattern &+ 1 << 21
    let exponent = Int(raised >> 23) - (element == .e2m1 ? 2 : 8)
    parameters[0] = NumberConversion.float(e8m0: UInt8(max(0, min(254, exponent))))
  }

  public func multiplier(_ parameters: UnsafePointer<Float>) -> Float { parameters[0] }
}

/// The Microscaling formats, and NVFP4.
public enum MicroscalingSchemes: SchemeProvider {
  public static let id = "microscaling"
  public static let summary = "FP4 and FP8 in short groups whose scales are 8-bit floats themselves: MX formats and NVFP4."
  public static let reference = "OCP Microscaling Formats 1.0; arXiv 2310.10537; arXiv 2509.25149"
  public static let schemeNames = ["mxfp4", "mxfp8", "nvfp4"]

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    switch name {
    case "mxfp4": MicroscalingScheme(.e2m1, modelType: modelType)
    case "mxfp8": MicroscalingScheme(.e4m3, modelType: modelType)
    case "nvfp4": NVFP4Scheme(.divisor, modelType: modelType)
    default: nil
    }
  }
}
