import CKernels

/// Groups of unsigned integers of 2 to 8 bits with a scale and a minimum: `code * scale + minimum`, MLX's mode `affine`.
///
/// Clients round the product to the type of the scales, then the sum; so do `value` and the rule, which counts the errors that are
/// left after that. The rule tries several scales and minima and takes the one with the smallest squared error (weighted by
/// importance, if it is given):
/// - that of MLX: the scale divides the range of the group, sign and size are such that the end of the range with the larger
///   magnitude and 0 are both multiples of it, and that end is the minimum (a negative scale counts down from the largest weight);
/// - the range as it is;
/// - from the better of both, twice, the scale and minimum with the smallest error for the codes found so far;
/// - with the wider search, the same from ranges that are cut off at one or both ends.
///
/// Parameters of a tile: the scale and the minimum.
public struct AffineScheme: Scheme {
  /// Bits of a code: 2 to 8.
  public let bits: Int
  /// Columns that share a scale and a minimum.
  public let length: Int
  /// Type of scale and minimum, in which clients compute weights: `f32`, `f16` or `bf16`.
  public let scaleType: ElementType
  /// Whether every minimum is known to be that of a whole zero point; nil: none is expected to be. Asked when codes are to be repacked.
  let hasWholeZeroPoints: (@Sendable () -> Bool)?
  private let isWide: Bool

  /// Nil for a width below 2 or above 8, or a group size below 1. A type that is not a 16- or 32-bit float becomes f32.
  /// - Parameter hasWholeZeroPoints: whether all minima of a stored matrix are those of whole zero points
  ///   (`AffineScheme.zeroPoint(scale:minimum:)`), so that its codes can become asymmetric groups.
  public init?(bits: Int, groupLength: Int, scaleType: ElementType, hasWholeZeroPoints: (@Sendable () -> Bool)? = nil) {
    guard (2...8).contains(bits), groupLength >= 1 else { return nil }
    let type = scaleType == .f16 || scaleType == .bf16 ? scaleType : .f32
    self.init(bits: bits, length: groupLength, scaleType: type, hasWholeZeroPoints: hasWholeZeroPoints, isWide: false)
  }

  private init(bits: Int, length: Int, scaleType: ElementType, hasWholeZeroPoints: (@Sendable () -> Bool)?, isWide: Bool) {
    self.bits = bits
    self.length = length
    self.scaleType = scaleType
    self.hasWholeZeroPoints = hasWholeZeroPoints
    self.isWide = isWide
  }

  public var name: String { "int\(bits)-g\(length)-affine" }
  public var grid: Grid {
    Grid(
      kind: .affineInteger, groupLength: length, codeBits: Double(bits), parameterBits: Double(2 * scaleType.bitCount),
      scaleType: scaleType)
  }
  public var parameterCount: Int { 2 }
  public var adjustableParameters: [AdjustableParameter] { .factors(2, stored: scaleType) }

  public var widerSearch: (any Scheme)? {
    AffineScheme(bits: bits, length: length, scaleType: scaleType, hasWholeZeroPoints: hasWholeZeroPoints, isWide: true)
  }

  /// The largest code.
  var top: Float { Float(1 << bits) - 1 }
  private var kernelType: Int32 { scaleType.kernelType }

  public func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    nearest(panel, columns: 0..<panel.columns, into: &result)
  }

  public func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    func fit(_ importance: UnsafePointer<Float>?) {
      for row in 0..<panel.rows {
        for group in 0..<result.groupsPerRow {
          let start = group * length
          let found = AffineRange(panel.row(row) + start, importance.map { $0 + start }, length, of: self, kernelType: kernelType).best(
            isWide: isWide)
          let position = result.parameterIndex(row: row, group: group)
          result.parameters[position] = found.scale
          result.parameters[position + 1] = found.minimum
        }
      }
    }
    guard let importance else { return fit(nil) }
    importance.withUnsafeBufferPointer { fit($0.baseAddress) }
  }

  public func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    var codes: [Int32] = []
    swap(&codes, &result.codes)
    codes.withUnsafeMutableBufferPointer { codes in
      guard let codes = codes.baseAddress else { return }
      result.forEachTile(in: columns) { row, part, parameter in
        qc_affine_codes(
          panel.row(row) + part.lowerBound, part.count, result.parameters[parameter], result.parameters[parameter + 1], top,
          codes + row * result.columns + part.lowerBound)
      }
    }
    swap(&codes, &result.codes)
  }

  public func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    quantized.codes.withUnsafeBufferPointer { codes in
      guard let codes = codes.baseAddress else { return }
      quantized.forEachTile(in: columns) { row, part, parameter in
        let start = row * quantized.columns + part.lowerBound
        qc_affine_values(
          codes + start, part.count, quantized.parameters[parameter], quantized.parameters[parameter + 1], kernelType, destination + start)
      }
    }
  }
}

/// The search for scale and minimum of one group.
private struct AffineRange {
  struct Parameters {
    var scale: Float
    var minimum: Float
  }

  private let x: UnsafePointer<Float>
  private let importance: UnsafePointer<Float>?
  private let count: Int
  private let top: Float
  private let type: ElementType
  private let kernelType: Int32

  init(_ x: UnsafePointer<Float>, _ importance: UnsafePointer<Float>?, _ count: Int, of scheme: AffineScheme, kernelType: Int32) {
    self.x = x
    self.importance = importance
    self.count = count
    self.kernelType = kernelType
    top = scheme.top
    type = scheme.scaleType
  }

  /// What a trial of parameters found.
  private struct Trial {
    var parameters: Parameters
    var error: Double
    /// The parameters with the smallest error for the same codes; nil if the codes are all equal.
    var refined: Parameters?
  }

  func best(isWide: Bool) -> Parameters {
    var low = x[0], high = x[0]
    for index in 1..<max(1, count) {
      low = x[index] < low ? x[index] : low
      high = x[index] > high ? x[index] : high
    }
    // A group of equal weights: their value is the minimum.
    var best = Trial(parameters: Parameters(scale: type.machineEpsilon, minimum: rounded(low)), error: .infinity)
    guard high > low else { return best.parameters }
    improve(&best, with: whole(low, high))
    improve(&best, with: range(low, high))
    refine(&best)
    guard isWide else { return best.parameters }
    for left in 0..<6 {
      for right in 0..<6 where left + right > 0 {
        let from = low + (high - low) * Float(left) * 0.025, to = high - (high - low) * Float(right) * 0.025
        improve(&best, with: range(from, to), steps: 1)
      }
    }
    refine(&best)
    return best.parameters
  }

  private func refine(_ best: inout Trial) {
    for _ in 0..<2 {
      guard let refined = best.refined else { return }
      improve(&best, with: refined)
    }
  }

  private func rounded(_ value: Float) -> Float { NumberConversion.rounded(value, to: type) }

  /// MLX's own parameters for a range.
  private func whole(_ low: Float, _ high: Float) -> Parameters {
    let isNegative = low.magnitude > high.magnitude
    let edge = isNegative ? low : high
    let step = max((high - low) / top, 1e-7)
    let scale = isNegative ? step : -step
    let steps = (edge / scale).rounded(.toNearestOrEven)
    return steps == 0 ? Parameters(scale: scale, minimum: 0) : Parameters(scale: edge / steps, minimum: edge)
  }

  private func range(_ low: Float, _ high: Float) -> Parameters { Parameters(scale: (high - low) / top, minimum: low) }

  /// Tries parameters, and then those that follow from their codes.
  private func improve(_ best: inout Trial, with parameters: Parameters, steps: Int = 0) {
    guard let trial = trial(parameters) else { return }
    if trial.error < best.error { best = trial }
    if steps > 0, let refined = trial.refined { improve(&best, with: refined, steps: steps - 1) }
  }

  /// Nil if rounding makes the parameters useless: a scale of 0, or one that is not finite.
  private func trial(_ parameters: Parameters) -> Trial? {
    let scale = rounded(parameters.scale), minimum = rounded(parameters.minimum)
    guard scale != 0, scale.isFinite, minimum.isFinite else { return nil }
    return withUnsafeTemporaryAllocation(of: Double.self, capacity: Int(QC_AFFINE_SUMS)) { sums in
      qc_affine_trial(x, importance, count, scale, minimum, top, kernelType, sums.baseAddress)
      let (weight, code, square) = (sums[Int(QC_AFFINE_WEIGHT)], sums[Int(QC_AFFINE_CODE)], sums[Int(QC_AFFINE_CODE_SQUARED)])
      let (sum, product) = (sums[Int(QC_AFFINE_X)], sums[Int(QC_AFFINE_CODE_X)])
      let determinant = weight * square - code * code
      var refined: Parameters?
      if determinant > 0 {
        refined = Parameters(
          scale: Float((weight * product - code * sum) / determinant), minimum: Float((square * sum - code * product) / determinant))
      }
      return Trial(
        parameters: Parameters(scale: scale, minimum: minimum), error: sums[Int(QC_AFFINE_ERROR)], refined: refined)
    }
  }
}

/// Affine groups.
public enum AffineSchemes: SchemeProvider {
  public static let id = "affine"
  public static let summary = "Integers of 2 to 8 bits with a scale and a minimum per group, as MLX computes with them."
  public static let reference = "https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html"
  public static let schemeNames = (2...8).map { "int\($0)-gN-affine" }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 3, words[2] == "affine", words[1].first == "g", let bits = (2...8).first(where: { words[0] == "int\($0)" }),
      // Digits only, and no leading zero: one name for one scheme.
      let length = Int(words[1].dropFirst()), "g\(length)" == words[1], length <= 1 << 20
    else { return nil }
    return AffineScheme(bits: bits, groupLength: length, scaleType: modelType)
  }
}
