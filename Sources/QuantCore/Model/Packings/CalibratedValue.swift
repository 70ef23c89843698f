/// A value of the output that calibration finds: a scale or a zero point of the activations at a site.
public struct CalibratedValue: Sendable, Hashable {
  /// Which of the parameters it is.
  public enum Part: Sendable, Hashable {
    case scale, zeroPoint
    /// `1 / scale`.
    case reciprocalScale

    /// What is stored for a scale and a zero point.
    package func value(scale: Float, zeroPoint: Int) -> Float {
      switch self {
      case .scale: scale
      case .zeroPoint: Float(zeroPoint)
      case .reciprocalScale: 1 / scale
      }
    }
  }

  /// The block that is observed.
  public var block: Int
  /// Where values are observed.
  public var site: Site
  /// How they are rounded.
  public var scheme: ActivationScheme
  /// How the range is chosen.
  public var calibrator: RangeCalibrator
  /// Which of the parameters it is.
  public var part: Part
  /// The type that the model computes in.
  public var modelType: ElementType
  /// The type that scales are stored in.
  public var storedType: ElementType

  /// - Parameters:
  ///   - calibrator: nil: the one that suits the type.
  ///   - storedType: nil: the model's type.
  public init(
    block: Int, site: Site, scheme: ActivationScheme, calibrator: RangeCalibrator? = nil, part: Part, modelType: ElementType,
    storedType: ElementType? = nil
  ) {
    self.block = block
    self.site = site
    self.scheme = scheme
    self.calibrator = calibrator ?? RangeCalibrator(for: scheme.element)
    self.part = part
    self.modelType = modelType
    self.storedType = storedType ?? modelType
  }

  /// Bytes to store, or nil if nothing was observed at the site.
  package func bytes(_ statistics: SiteStatistics?) -> [UInt8]? {
    guard let range = statistics.flatMap({ calibrator.range(of: $0, for: scheme) }) else { return nil }
    let (scale, zeroPoint) = scheme.parameters(minimum: range.minimum, maximum: range.maximum, in: modelType)
    if part == .zeroPoint { return [UInt8(truncatingIfNeeded: zeroPoint)] }
    return NumberConversion.bytes(of: [part.value(scale: scale, zeroPoint: zeroPoint)], as: storedType)
  }
}
