/// What a checkpoint says about activations: how the inputs of linear layers are rounded, and with which scales keys and values
/// enter a cache.
public struct ActivationRecord: Sendable, Equatable {
  /// How the input of one linear layer is rounded.
  public struct Input: Sendable, Equatable {
    /// The type, which values share a scale, and whether the scale is stored.
    public var scheme: ActivationScheme
    /// The stored scale; nil if the client computes it while the model runs.
    public var scale: Float?
    /// The code that means 0; 0 if the scheme is symmetric. A value is `(code - zeroPoint) * scale`.
    public var zeroPoint: Int

    public init(_ scheme: ActivationScheme, scale: Float? = nil, zeroPoint: Int = 0) {
      self.scheme = scheme
      self.scale = scale
      self.zeroPoint = zeroPoint
    }
  }

  /// The stored scales of one block's cache: a cached value is the code nearest to `x / scale`.
  public struct CacheScales: Sendable, Equatable {
    /// For keys, after the rotary embedding.
    public var keys: Float
    /// For values.
    public var values: Float
    /// How both are rounded: a static scheme of one scale.
    public var scheme: ActivationScheme

    public init(keys: Float, values: Float, scheme: ActivationScheme = .fp8Static) {
      self.keys = keys
      self.values = values
      self.scheme = scheme
    }
  }

  /// By the layer's name in the checkpoint: the name of its weight without `.weight`. A layer whose input is not rounded is absent.
  public var inputs: [String: Input]
  /// By block; empty if the cache is not rounded.
  public var caches: [Int: CacheScales]

  public init(inputs: [String: Input] = [:], caches: [Int: CacheScales] = [:]) {
    self.inputs = inputs
    self.caches = caches
  }

  /// Whether nothing is rounded.
  public var isEmpty: Bool { inputs.isEmpty && caches.isEmpty }
}
