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
  /// How the range is chosen.
  public var calibrator: RangeCalibrator
  /// Which of the parameters it is.
  public var part: Part
  /// The type that the model computes in, and scales are stored in.
  public var modelType: ElementType

  /// - Parameter calibrator: nil: what suits the type.
  public init(
    block: Int, site: Site, scheme: ActivationScheme, calibrator: RangeCalibrator? = nil, part: Part, modelType: ElementType
  ) {
    self.block = block
    self.site = site
    self.scheme = scheme
    self.calibrator = calibrator ?? RangeCalibrator(for: scheme.element)
    self.part = part
    self.modelType = modelType
  }

  /// Bytes to store, or nil where nothing was observed at the site.
  func bytes(_ statistics: SiteStatistics?) -> [UInt8]? {
    guard let range = statistics.flatMap({ calibrator.range(of: $0, for: scheme) }) else { return nil }
    let (scale, zeroPoint) = scheme.parameters(minimum: range.minimum, maximum: range.maximum, in: modelType)
    return part == .scale ? NumberConversion.bytes(scale, as: modelType) : NumberConversion.bytes(Float(zeroPoint), as: .i8)
  }
}
