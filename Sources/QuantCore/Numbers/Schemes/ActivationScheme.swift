/// How a client rounds the inputs of linear layers, or the entries of the KV cache.
public struct ActivationScheme: Sendable, Hashable {
  /// Values that share a scale.
  public enum Granularity: Sendable, Hashable {
    /// All channels of one token.
    case token
    /// This many neighbouring channels of one token.
    case group(Int)
    /// Everything that flows through the site.
    case tensor
    /// Each channel alone, for all tokens.
    case channel
  }

  /// Type of a rounded value.
  public let element: Element
  /// Values that share a scale.
  public let granularity: Granularity
  /// Whether the scale is found on calibration text and stored; otherwise the client computes it while it runs.
  public let isStatic: Bool
  /// Whether the middle code means 0; otherwise there is a zero point, and the range extends from the smallest value to the
  /// largest. Floats are always symmetric.
  public let isSymmetric: Bool

  /// Types that activations are rounded to. Integers have signed codes; `fp4` is E2M1 and exists only in `nvfp4`.
  public enum Element: String, Sendable, Hashable, CaseIterable {
    case int8, int4, fp8, fp4

    /// Bits of one value.
    public var bits: Int { self == .int4 || self == .fp4 ? 4 : 8 }
    /// Whether the type has an exponent.
    public var isFloat: Bool { self == .fp8 || self == .fp4 }
    /// The largest magnitude that the type holds: 448 for FP8 E4M3, 6 for FP4 E2M1.
    public var largest: Float {
      switch self {
      case .int8: 127
      case .int4: 7
      case .fp8: 448
      case .fp4: 6
      }
    }
  }

  public init(_ element: Element, _ granularity: Granularity, isStatic: Bool = false, isSymmetric: Bool = true) {
    self.element = element
    self.granularity = granularity
    self.isStatic = isStatic
    self.isSymmetric = isSymmetric || element.isFloat
  }

  /// INT8 with a scale for each token.
  public static let int8Token = ActivationScheme(.int8, .token)
  /// INT8 with one stored scale.
  public static let int8Static = ActivationScheme(.int8, .tensor, isStatic: true)
  /// FP8 E4M3 with a scale for each token.
  public static let fp8Token = ActivationScheme(.fp8, .token)
  /// FP8 E4M3 with one stored scale.
  public static let fp8Static = ActivationScheme(.fp8, .tensor, isStatic: true)
  /// FP8 E4M3 with a scale for each 128 channels of a token.
  public static let fp8Group128 = ActivationScheme(.fp8, .group(128))
  /// FP4 E2M1 with an E4M3 scale for each 16 channels of a token, computed while the model runs. One stored scale multiplies these
  /// scales before they are rounded, and divides them again (`NVFP4Scheme`).
  public static let nvfp4 = ActivationScheme(.fp4, .group(NVFP4Scheme.length), isStatic: true)

  /// Channels of a token that share a scale; nil for all.
  public var groupLength: Int? { if case .group(let length) = granularity { length } else { nil } }

  /// The scheme's name: `int8-token`, `fp8-g128`, `int8-tensor` (a stored scale), `int8-tensor-dynamic`,
  /// `int8-tensor-asym` (with a zero point), `int8-channel` (a stored scale for each channel), `nvfp4`.
  public var name: String {
    if self == .nvfp4 { return "nvfp4" }
    let level =
      switch granularity {
      case .token: "token"
      case .group(let length): "g\(length)"
      case .tensor: isStatic ? "tensor" : "tensor-dynamic"
      case .channel: "channel"
      }
    return "\(element.rawValue)-\(level)" + (isSymmetric ? "" : "-asym")
  }

  /// The scheme with this name, or nil.
  public init?(named name: String) {
    if name == "nvfp4" {
      self = .nvfp4
      return
    }
    var words = name.split(separator: "-", omittingEmptySubsequences: false).map { String($0) }
    let isSymmetric = words.last != "asym"
    if !isSymmetric { words.removeLast() }
    guard words.count >= 2, let element = Element(rawValue: words[0]), element != .fp4, isSymmetric || element != .fp8 else { return nil }
    switch words[1...].joined(separator: "-") {
    case "token": self.init(element, .token, isSymmetric: isSymmetric)
    case "tensor": self.init(element, .tensor, isStatic: true, isSymmetric: isSymmetric)
    case "channel": self.init(element, .channel, isStatic: true, isSymmetric: isSymmetric)
    case "tensor-dynamic": self.init(element, .tensor, isSymmetric: isSymmetric)
    case let level:
      // Digits only, and no leading zero: one name for one scheme.
      guard level.first == "g", let length = Int(level.dropFirst()), length > 0, "g\(length)" == level else { return nil }
      self.init(element, .group(length), isSymmetric: isSymmetric)
    }
  }

  /// Names for lists, with `N` for any number. Those of integers may end in `-asym`.
  public static let names =
    [Element.int8, .int4, .fp8].flatMap { element in
      ["token", "gN", "tensor", "tensor-dynamic", "channel"].map { "\(element.rawValue)-\($0)" }
    } + ["nvfp4"]
}

extension ActivationScheme {
  /// Scale and zero point of a range, by the rule of compressed-tensors: the range includes 0; amax is its largest magnitude.
  /// Integers have `scale = amax / ((2^b - 1) / 2)`, or with a zero point `scale = (max - min) / (2^b - 1)` and
  /// `zero = round(-2^(b-1) - min / scale)`; FP8 has `scale = amax / 448`. FP4 has one scale for the tensor, `2688 / amax`, by
  /// which the local ones are divided.
  /// - Parameter type: the type that the model computes in and the scale is stored in; every operation is rounded to it.
  /// - Returns: the scale, never 0, and the signed code that means 0.
  public func parameters(minimum: Float, maximum: Float, in type: ElementType) -> (scale: Float, zeroPoint: Int) {
    func stored(_ value: Float) -> Float { NumberConversion.rounded(value, to: type) }
    if element == .fp4 { return (NVFP4Scheme.divisor(largestMagnitude: max(-minimum, maximum), in: type), 0) }
    let low = stored(min(0, minimum)), high = stored(max(0, maximum))
    let steps = Float(1 << element.bits) - 1
    guard !isSymmetric else {
      let scale = stored(max(-low, high) / (element == .fp8 ? element.largest : steps / 2))
      return (scale > 0 ? scale : type.machineEpsilon, 0)
    }
    let half = Float(1 << (element.bits - 1))
    let scale = stored(stored(high - low) / steps)
    guard scale > 0 else { return (type.machineEpsilon, 0) }
    return (scale, Int(max(-half, min(half - 1, stored(-half - stored(low / scale)))).rounded(.toNearestOrEven)))
  }

  /// The value after rounding with a scale and no zero point.
  public func rounded(_ value: Float, scale: Float) -> Float { rounded(value, scale: scale, zeroPoint: 0) }

  /// The value after rounding with a scale and a zero point, which only integers have.
  func rounded(_ value: Float, scale: Float, zeroPoint: Int) -> Float {
    guard element != .fp8 else { return NumberConversion.float(e4m3: NumberConversion.e4m3(value / scale)) * scale }
    guard element != .fp4 else { return NumberConversion.float(e2m1: NumberConversion.e2m1(value / scale)) * scale }
    let zero = Float(zeroPoint)
    let code = (value / scale + zero).rounded(.toNearestOrEven)
    return (max(-element.largest - 1, min(element.largest, code)) - zero) * scale
  }
}
