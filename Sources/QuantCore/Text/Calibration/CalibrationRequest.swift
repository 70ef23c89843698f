/// The text that methods observe.
public struct CalibrationRequest: Sendable, Equatable {
  /// Text files; empty: the text inside the program.
  public var files: [String] = []
  /// Windows to use.
  public var samples = 128
  /// Tokens per window.
  public var context = 512
  /// 0: windows spread evenly over the text; else chosen at random with this seed.
  public var seed: UInt64 = 0
  /// Whether each window starts with BOS; nil: as the tokenizer's own rule says.
  public var bos: Bool?
  /// Of the products that run the text through the model.
  public var precision = ProductPrecision.f32

  public init() {}
}
