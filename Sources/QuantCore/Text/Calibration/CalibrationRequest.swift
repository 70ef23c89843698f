/// The text that methods observe.
public struct CalibrationRequest: Sendable, Equatable {
  /// Text files; empty: the built-in text.
  public var files: [String] = []
  /// Windows to use.
  public var samples = 128
  /// Tokens per window.
  public var context = 512
  /// 0: windows are spread evenly over the text; otherwise they are chosen at random with this seed.
  public var seed: UInt64 = 0
  /// Whether each window starts with BOS; nil: as the tokenizer's own rule says.
  public var bos: Bool?
  /// Precision of the matrix products when the model runs the text.
  public var precision = ProductPrecision.f32

  public init() {}
}
