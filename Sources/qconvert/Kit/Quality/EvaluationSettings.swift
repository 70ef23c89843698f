/// How the result of a conversion is evaluated against its source.
struct EvaluationSettings: Sendable {
  /// Texts to predict, one after another; empty: nothing is evaluated.
  var text: [String] = []
  /// Tokens per window.
  var context = 512
  /// Windows to use, from the start of the text; nil: all.
  var windows: Int?
}
