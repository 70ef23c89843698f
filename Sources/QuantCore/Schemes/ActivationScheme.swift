/// How a program that runs the model rounds what flows into a linear layer, or into the cache of keys and values.
public struct ActivationScheme: Sendable, Hashable {
  /// Values that share a scale.
  public enum Granularity: Sendable, Hashable {
    /// All channels of one token.
    case token
    /// So many neighbouring channels of one token.
    case group(Int)
    /// Everything that flows through the site.
    case tensor
  }

  /// Type of a rounded value. Integers are symmetric.
  public let element: Element
  /// Values that share a scale.
  public let granularity: Granularity
  /// Whether the scale is found on calibration text and stored; otherwise the program computes it while it runs.
  public let isStatic: Bool

  /// Types that activations are rounded to.
  public enum Element: String, Sendable, Hashable, CaseIterable {
    case int8, int4, fp8

    /// Bits of one value.
    public var bits: Int { self == .int4 ? 4 : 8 }
    /// The largest magnitude that the type holds: 448 for FP8 E4M3.
    public var largest: Float {
      switch self {
      case .int8: 127
      case .int4: 7
      case .fp8: 448
      }
    }
  }

  public init(_ element: Element, _ granularity: Granularity, isStatic: Bool = false) {
    self.element = element
    self.granularity = granularity
    self.isStatic = isStatic
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

  /// Channels of a token that share a scale; nil for all.
  public var groupLength: Int? { if case .group(let length) = granularity { length } else { nil } }

  /// Name in the grammar of names: `int8-token`, `fp8-g128`, `int8-tensor` (a stored scale), `int8-tensor-dynamic`.
  public var name: String {
    switch granularity {
    case .token: "\(element.rawValue)-token"
    case .group(let length): "\(element.rawValue)-g\(length)"
    case .tensor: "\(element.rawValue)-tensor" + (isStatic ? "" : "-dynamic")
    }
  }

  /// The scheme with this name, or nil.
  public init?(named name: String) {
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    guard words.count >= 2, let element = Element(rawValue: String(words[0])) else { return nil }
    switch (words[1], words.dropFirst(2).first, words.count) {
    case ("token", nil, 2): self.init(element, .token)
    case ("tensor", nil, 2): self.init(element, .tensor, isStatic: true)
    case ("tensor", "dynamic", 3): self.init(element, .tensor)
    default:
      guard words.count == 2, words[1].first == "g", let length = Int(words[1].dropFirst()), length > 0 else { return nil }
      self.init(element, .group(length))
    }
  }

  /// Names for lists, with `N` for a free number.
  public static let names = Element.allCases.flatMap { element in
    ["token", "gN", "tensor", "tensor-dynamic"].map { "\(element.rawValue)-\($0)" }
  }
}

/// A quantized linear layer, as a packing describes it to the readers of a checkpoint.
public struct QuantizedModule: Sendable {
  /// Name of the layer: its tensor's without `.weight`.
  public var name: String
  public var scheme: any Scheme
  /// Nil where inputs are not rounded.
  public var activations: ActivationScheme?

  public init(name: String, scheme: any Scheme, activations: ActivationScheme? = nil) {
    self.name = name
    self.scheme = scheme
    self.activations = activations
  }
}
