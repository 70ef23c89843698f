/// A number of the output that is found on calibration text: a scale or a zero point of what flows through a site.
public struct CalibratedValue: Sendable, Hashable {
  /// Which of the parameters it is.
  public enum Part: Sendable, Hashable {
    case scale, zeroPoint
  }

  /// Block that is observed.
  public var block: Int
  /// Where values are observed.
  public var site: Site
  /// What they are rounded to.
  public var scheme: ActivationScheme
  /// Which of the parameters it is.
  public var part: Part
  /// The type that the model computes in, and scales are stored in.
  public var modelType: ElementType

  public init(block: Int, site: Site, scheme: ActivationScheme, part: Part, modelType: ElementType) {
    self.block = block
    self.site = site
    self.scheme = scheme
    self.part = part
    self.modelType = modelType
  }

  /// Bytes to store, or nil where nothing was observed at the site.
  func bytes(_ statistics: SiteStatistics?, _ calibrator: RangeCalibrator) -> [UInt8]? {
    guard let range = statistics.flatMap({ calibrator.range(of: $0, for: scheme) }) else { return nil }
    let (scale, zeroPoint) = scheme.parameters(minimum: range.minimum, maximum: range.maximum, in: modelType)
    guard part == .scale else { return [UInt8(truncatingIfNeeded: zeroPoint)] }
    let bits: UInt32 =
      switch modelType {
      case .bf16: UInt32(NumberConversion.bfloat(scale))
      case .f16: UInt32(NumberConversion.half(scale))
      default: scale.bitPattern
      }
    return (0..<modelType.bitCount / 8).map { UInt8(truncatingIfNeeded: bits >> (8 * UInt32($0))) }
  }
}
