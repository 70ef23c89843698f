/// How much work a conversion may take for how good a result. A level stands for a chain of methods: those that name it
/// (`QuantizationMethod.qualities`), with the options that they give it.
public enum Quality: String, Sendable, CaseIterable {
  /// Rounds to nearest; needs no text.
  case fast
  /// The best result for a few passes over a calibration text.
  case good
  /// The best result.
  case best
}
