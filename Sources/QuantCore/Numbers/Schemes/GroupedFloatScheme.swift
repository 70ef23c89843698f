import CKernels

/// Groups of short floats with a scale, for any number of columns: fine-grained FP8 and FP4, with ZeroQuant-FP's constraints on scales.
///
/// Codes are the nearest values to `w / scale`, clamped, ties to even. With `s = amax / largest`, the largest magnitudes of the group and of
/// the type of its codes, a scale is by its rule:
/// - `.any`: `s`, with amax, scale and quotient rounded to the model's type: the rule of compressed-tensors. A scale of 0 becomes the
///   machine epsilon of that type.
/// - `.powers`: a power of two, so that FP4 becomes FP8 by a shift (the paper's M1, which takes `2^⌈log₂ s⌉`).
/// - `.ratios`: a power of two times the `s` of the whole tensor (the paper's M2, which takes `s_max / 2^⌈log₂(s_max / s)⌉`).
///
/// Of the two such scales around `s`, the one with the smaller squared error is taken, weighted by importance if it is given; so it depends
/// on the group whether its largest weight is cut off. If both are equally good, it is the larger one.
///
/// Parameters of a tile: the scale. Source: Wu et al., *ZeroQuant-FP: A Leap Forward in LLMs Post-Training W4A8 Quantization Using
/// Floating-Point Formats* (arXiv 2307.09782), §3.
public struct GroupedFloatScheme: ScaledFloatScheme, SharedScaleScheme {
  /// Which scales a group may have. The raw value ends the scheme's name.
  public enum Scales: String, Sendable, Hashable, CaseIterable {
    /// All of the model's type.
    case any = ""
    /// Powers of two.
    case powers = "-e8m0"
    /// Powers of two times a number that the tensor's groups share.
    case ratios = "-ratio"
  }

  public let element: ShortFloat
  /// Columns that share a scale, at least 2.
  public let length: Int
  public let scales: Scales
  /// Type in which the model computes.
  public let modelType: ElementType
  /// Type in which powers of two are stored, if not as exponents.
  private var ownScaleType: ElementType?
  /// The largest magnitude of the whole tensor, if known.
  private var largestMagnitude: Float?

  /// Nil for a group of fewer than two columns. A model type that is not a 16- or 32-bit float becomes f32.
  public init?(_ element: ShortFloat, length: Int, scales: Scales = .any, modelType: ElementType) {
    guard length >= 2 else { return nil }
    self.element = element
    self.length = length
    self.scales = scales
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
  }

  public var name: String { GroupedFloatScheme.prefix(element) + "g\(length)" + scales.rawValue }

  static func prefix(_ element: ShortFloat) -> String {
    switch element {
    case .e4m3: "fp8-"
    case .e5m2: "fp8e5m2-"
    case .e2m1: "e2m1-"
    case .e3m0: "e3m0-"
    }
  }

  /// Type in which scales are stored.
  private var scaleType: ElementType { ownScaleType ?? (scales == .powers ? .f8e8m0 : modelType) }

  /// The same scheme with its scales stored as floats of the model's type, which hold powers of two, too.
  public var storingFloats: GroupedFloatScheme {
    var scheme = self
    scheme.ownScaleType = modelType
    return scheme
  }

  public var grid: Grid {
    Grid(
      kind: .scaledFloat, layout: element.rawValue, groupLength: length, codeBits: Double(element.bitCount),
      parameterBits: Double(scaleType.bitCount), scaleType: scaleType)
  }

  public var parameterCount: Int { 1 }
  public var quotientType: ElementType { scales == .any ? modelType : .f32 }
  public var sharing: Sharing? { scales == .ratios ? .tensor : nil }

  public func fitted(largestMagnitude: Float) -> any Scheme {
    var scheme = self
    scheme.largestMagnitude = largestMagnitude
    return scheme
  }

  public func multiplier(_ parameters: UnsafePointer<Float>) -> Float { parameters[0] }

  // MARK: Scales

  /// The scale of a rule that allows all, else the smaller of the allowed ones that cut nothing off.
  public func fit(largestMagnitude: Float, into parameters: UnsafeMutablePointer<Float>) {
    guard scales != .any else {
      parameters[0] = freeScale(largestMagnitude)
      return
    }
    let unit = unit(largestMagnitude)
    let ratio = NumberConversion.rounded(largestMagnitude, to: modelType) / element.largest / unit
    let exponent = ratio.isNormal ? Int(ratio.exponent) + (ratio.significand > 1 ? 1 : 0) : ratio < 1 ? -127 : 127
    parameters[0] = Float(sign: .plus, exponent: max(exponent, leastExponent(of: unit)), significand: unit)
  }

  private func freeScale(_ largestMagnitude: Float) -> Float {
    let scale = NumberConversion.rounded(NumberConversion.rounded(largestMagnitude, to: modelType) / element.largest, to: modelType)
    return scale == 0 ? modelType.machineEpsilon : scale
  }

  /// What every scale is a power of two times.
  private func unit(_ largestMagnitude: Float) -> Float { scales == .ratios ? freeScale(self.largestMagnitude ?? largestMagnitude) : 1 }

  /// The exponent of the least power of two whose product with the unit has all its bits in the type of stored scales.
  private func leastExponent(of unit: Float) -> Int {
    let least = scaleType == .f16 ? -14 : -126
    // A tensor's scale can exceed the model's type.
    return unit.isFinite ? least - Int(unit.exponent) : least
  }

  public func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    var magnitudes = [Float](repeating: 0, count: result.groupsPerRow)
    var scratch = Scratch(count: length)
    for row in 0..<panel.rows {
      let source = panel.row(row)
      qc_magnitudes(source, panel.columns, length, &magnitudes)
      for (group, magnitude) in magnitudes.enumerated() {
        var scale: Float = 0
        fit(largestMagnitude: magnitude, into: &scale)
        if scales != .any {
          let columns = group * length..<min((group + 1) * length, panel.columns)
          let halved = scale / 2
          // A scale equal to `s` is between no others.
          if scale * element.largest > magnitude, Int(scale.exponent) > leastExponent(of: 1) {
            let errors = [scale, halved].map { error(source, columns, importance, scale: $0, &scratch) }
            if errors[1] < errors[0] * (1 - GroupedFloatScheme.noise) { scale = halved }
          }
        }
        result.parameters[result.parameterIndex(row: row, group: group)] = scale
      }
    }
  }

  /// Codes and values of one group.
  private struct Scratch {
    var codes: [Int32]
    var values: [Float]

    init(count: Int) {
      codes = [Int32](repeating: 0, count: count)
      values = [Float](repeating: 0, count: count)
    }
  }

  /// The share of an error that the rounding of its 32-bit values may make: FP8 often has the same codes' values under both scales.
  private static let noise = 1e-5

  /// The squared error of some columns of a row with a scale, weighted by importance.
  private func error(
    _ row: UnsafePointer<Float>, _ columns: Range<Int>, _ importance: [Float]?, scale: Float, _ scratch: inout Scratch
  ) -> Double {
    var scale = scale
    let (start, count) = (row + columns.lowerBound, columns.count)
    qc_short_codes(start, count, count, &scale, Int32(QC_FLOAT), Int32(QC_FLOAT), element.kernelElement, &scratch.codes)
    qc_short_values(scratch.codes, count, count, &scale, element.kernelElement, &scratch.values)
    var sum = 0.0
    for i in 0..<count {
      let difference = Double(start[i]) - Double(scratch.values[i])
      sum += difference * difference * Double(importance?[columns.lowerBound + i] ?? 1)
    }
    return sum
  }

  // MARK: Lattices

  /// The scales of a lattice that was found would not be powers of two times one number.
  public func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    switch scales {
    case .any: latticeParameters(of: tile, storedIn: type, scaleType: scaleType)
    case .powers: latticeParameters(of: tile, storedIn: type, scaleType: .f8e8m0)
    case .ratios: nil
    }
  }
}

/// FP8 and FP4 in groups of any length.
public enum GroupedFloatSchemes: SchemeProvider {
  public static let id = "grouped-float"
  public static let summary =
    "FP8 and FP4 (E2M1, E3M0) in groups; scales as they are, powers of two, or powers of two times one per tensor."
  public static let reference = "arXiv 2307.09782; https://github.com/vllm-project/compressed-tensors"
  public static let schemeNames = ShortFloat.allCases.flatMap { element in
    GroupedFloatScheme.Scales.allCases.map { GroupedFloatScheme.prefix(element) + "gN" + $0.rawValue }
  }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    guard let element = ShortFloat.allCases.first(where: { name.hasPrefix(GroupedFloatScheme.prefix($0) + "g") }) else { return nil }
    let digits = name.dropFirst(GroupedFloatScheme.prefix(element).count + 1).prefix { $0.isNumber }
    guard let length = Int(digits), length <= 1 << 20 else { return nil }
    // A scheme has one name.
    return GroupedFloatScheme.Scales.allCases.lazy
      .compactMap { GroupedFloatScheme(element, length: length, scales: $0, modelType: modelType) }.first { $0.name == name }
  }
}
