import CKernels

/// The search for the range of one group of integers that leaves the smallest squared error, weighted by importance if it is given.
///
/// Ranges from the whole one down to about a third of it are tried; asymmetric ones are cut at both ends, or at one of them. Each trial
/// is followed by one with the scale that fits the codes of the first best.
struct IntegerRange {
  typealias Parameters = (scale: Float, zero: Float)

  private static let steps = 24
  private static let smallest: Float = 0.35

  private let x: UnsafePointer<Float>
  private let importance: UnsafePointer<Float>?
  private let count: Int
  private let scheme: IntegerScheme
  /// The largest code if the smallest is 0.
  private let top: Float

  /// - Parameters:
  ///   - x: the weights of the group.
  ///   - importance: one value for each, or nil.
  init(_ x: UnsafePointer<Float>, _ importance: UnsafePointer<Float>?, _ count: Int, of scheme: IntegerScheme) {
    self.x = x
    self.importance = importance
    self.count = count
    self.scheme = scheme
    top = scheme.highest - scheme.lowest
  }

  /// - Parameter first: parameters that are kept if nothing is better.
  func best(startingWith first: Parameters) -> Parameters {
    var low: Float = 0, high: Float = 0
    qc_extremes(x, count, &low, &high)
    var best = first
    guard high > low, var smallest = trial(first)?.error else { return first }
    func attempt(_ parameters: Parameters) {
      var parameters = parameters
      for _ in 0..<2 {
        parameters.scale = NumberConversion.rounded(parameters.scale, to: scheme.scaleType)
        guard parameters.scale != 0, parameters.scale.isFinite, let trial = trial(parameters) else { return }
        if trial.error < smallest { (best, smallest) = (parameters, trial.error) }
        guard let scale = trial.refittedScale else { return }
        parameters.scale = scale
      }
    }
    for step in 0..<IntegerRange.steps {
      let share = 1 - (1 - IntegerRange.smallest) * Float(step) / Float(IntegerRange.steps - 1)
      if scheme.isSymmetric {
        attempt((max(-low, high) * share / (top / 2), 0))
        // The end with the larger magnitude at the code that has no opposite; the scale is negative if that end is positive.
        attempt(((-low > high ? low : high) * share / scheme.lowest, 0))
      } else {
        let whole: Float = 1
        let ends = step == 0 ? [(whole, whole)] : [(share, share), (whole, share), (share, whole)]
        for (left, right) in ends {
          let scale = (high * right - low * left) / top
          guard scale > 0 else { continue }
          attempt((scale, min(max((-low * left / scale).rounded(.toNearestOrEven), 0), top)))
        }
      }
    }
    return best
  }

  /// The error of parameters, and the scale with the smallest error for the codes that they give; nil if that is not defined.
  private func trial(_ parameters: Parameters) -> (error: Double, refittedScale: Float?)? {
    let zero = Double(parameters.zero - scheme.lowest)
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: Int(QC_AFFINE_SUMS)) { sums in
      // Counted from 0, codes have a minimum instead of a zero point.
      qc_affine_trial(x, importance, count, parameters.scale, -Float(zero) * parameters.scale, top, Int32(QC_FLOAT), sums.baseAddress)
      let error = sums[Int(QC_AFFINE_ERROR)]
      guard error.isFinite else { return nil }
      let code = sums[Int(QC_AFFINE_CODE)]
      let square = sums[Int(QC_AFFINE_CODE_SQUARED)] - 2 * zero * code + zero * zero * sums[Int(QC_AFFINE_WEIGHT)]
      let product = sums[Int(QC_AFFINE_CODE_X)] - zero * sums[Int(QC_AFFINE_X)]
      return (error, square > 0 ? Float(product / square) : nil)
    }
  }
}
