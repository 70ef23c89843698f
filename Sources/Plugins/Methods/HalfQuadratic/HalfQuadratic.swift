public import QuantCore

/// Half-quadratic quantization: rounds without calibration, with zero points that make the outliers of the error matter little.
///
/// For weights w, codes q and values v(q) of a group it looks for the zero point (or minimum) with the smallest `Σ |w − v|^p`, p < 1. The
/// error is split in two: `e = shrink(w − v)` keeps what is large, and the zero point is the one with the smallest squares of the rest,
/// `w − e − v`. Both steps and rounding to nearest take turns, with a growing weight β on the rest:
/// `shrink(x) = sign(x) · max(|x| − |x|^(p−1) / β, 0)`.
///
/// Of all rounds, each group keeps the zero point with the smallest mean absolute error, as stored, so that no group gets worse than
/// under the rule that it began with. (The library stops all groups of a matrix at once, when the mean over the matrix grows.) Scales
/// stay as the scheme's rule chose them, as in the library.
///
/// Source: Badri & Shaji, *Half-Quadratic Quantization of Large Machine Learning Models* (2023), and the code of the library `hqq`,
/// which calls the inverse of the scale `scale`.
public struct HalfQuadratic: QuantizationMethod {
  public static let id = "hqq"
  public static let summary = "Searches zero points and minima under which outliers of the error matter little; needs no calibration."
  public static let reference = "https://mobiusml.github.io/hqq_blog; https://github.com/mobiusml/hqq"
  public static let options = [
    OptionDeclaration(name: "p", summary: "power of the error that is minimized, 0.1 to 1", defaultValue: "0.7"),
    OptionDeclaration(name: "beta", summary: "weight of what is not set aside as an outlier, in the first round", defaultValue: "10"),
    OptionDeclaration(name: "kappa", summary: "by what the weight is multiplied after each round", defaultValue: "1.01"),
    OptionDeclaration(name: "iterations", summary: "rounds, 1 to 1000", defaultValue: "20"),
  ]

  private let solver: Solver

  /// How the zero points are searched.
  struct Solver: Sendable {
    var power: Float
    var beta: Float
    var growth: Float
    var rounds: Int
  }

  /// - Throws: `Failure` for an option that is not a number in its range.
  public init(_ options: OptionValues) throws {
    solver = Solver(
      power: Float(try options.number("p", in: 0.1...1)), beta: Float(try options.number("beta", in: 0.001...1e6)),
      growth: Float(try options.number("kappa", in: 1...10)), rounds: try options.integer("iterations", in: 1...1000))
  }

  public var stages: Set<MethodStage> { [.round] }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    HalfQuadraticRounder(scheme: task.scheme, importance: task.importance, solver: solver)
  }
}
