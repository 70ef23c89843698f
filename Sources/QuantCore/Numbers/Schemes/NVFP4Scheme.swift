/// Groups of 16 E2M1 codes under an E4M3 scale, and one F32 scale for the tensor: NVIDIA's NVFP4.
///
/// Three grids differ in what the tensor's scale means, and their rules in the order of operations (amax is the largest magnitude of
/// the tensor, amax₁₆ that of a group):
/// - A divisor, by the rule of compressed-tensors: `global = 2688 * (1 / amax)`, `local = E4M3(global * (amax₁₆ / 6))`, where
///   everything but the last product is rounded to the model's type, and a value is `code * (local / global)`.
/// - A factor, by the rule of ModelOpt: `global = amax / 2688`, `local = E4M3(amax₁₆ / (6 * global))`, and a value is
///   `code * (local * global)`.
/// - None, by the rule of MLX: `local = E4M3(amax₁₆ / 6)`, and a value is `code * local`.
///
/// A local scale of 0 becomes 0.125; without a divisor it becomes 2⁻⁹, or 1 in a group of zeros. Arithmetic on scales has 32 bits. Codes
/// are the nearest to `w / scale`, ties to even. The layers of a block that read one input share the tensor's scale, because clients
/// join them into one matrix.
///
/// Parameters of a tile: the local scale and the tensor's, if there is one.
public struct NVFP4Scheme: ScaledFloatScheme, SharedScaleScheme {
  /// How the tensor's scale is applied to a local scale; nil if there is none.
  public let globalScale: Grid.GlobalScale?
  /// Type in which the model computes.
  public let modelType: ElementType
  /// The largest magnitude of all tensors that share the scale, if known.
  private var largestMagnitude: Float?

  /// Weights that share a local scale.
  public static let length = 16
  /// The largest value in a tensor whose global scale is 1: 6 (E2M1) times 448 (E4M3).
  static let range: Float = 2688

  /// A model type that is not a 16- or 32-bit float becomes f32.
  public init(_ globalScale: Grid.GlobalScale?, modelType: ElementType) {
    self.globalScale = globalScale
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
  }

  public var element: ShortFloat { .e2m1 }
  public var name: String { "nvfp4" }
  public var grid: Grid {
    Grid(
      kind: .scaledFloat, layout: element.rawValue, groupLength: NVFP4Scheme.length, codeBits: 4, parameterBits: 8,
      scaleType: .f8e4m3, globalScale: globalScale)
  }
  public var parameterCount: Int { globalScale == nil ? 1 : 2 }
  public var quotientType: ElementType { .f32 }
  public var sharing: Sharing? { globalScale == nil ? nil : .jointLayers }

  public func fitted(largestMagnitude: Float) -> any Scheme {
    var scheme = self
    scheme.largestMagnitude = largestMagnitude
    return scheme
  }

  public func fit(largestMagnitude: Float, into parameters: UnsafeMutablePointer<Float>) {
    let own = NumberConversion.rounded(largestMagnitude, to: modelType)
    let shared = NumberConversion.rounded(self.largestMagnitude ?? largestMagnitude, to: modelType)
    switch globalScale {
    case .divisor:
      parameters[1] = NVFP4Scheme.divisor(largestMagnitude: shared, in: modelType)
      parameters[0] = NVFP4Scheme.local(largestMagnitude: own, divisor: parameters[1], in: modelType)
    case .factor:
      parameters[1] = shared > 0 ? shared / NVFP4Scheme.range : 1
      parameters[0] = NVFP4Scheme.local(own / (6 * parameters[1]))
    case nil:
      parameters[0] = NVFP4Scheme.local(own / 6)
    }
  }

  /// The scale of a group, as stored, where no divisor is applied to it.
  private static func local(_ scale: Float) -> Float {
    scale == 0 ? 1 : max(0x1p-9, NumberConversion.float(e4m3: NumberConversion.e4m3(scale)))
  }

  /// The scale of a group, as stored, if the global scale is a divisor.
  static func local(largestMagnitude: Float, divisor: Float, in type: ElementType) -> Float {
    let local = divisor * NumberConversion.rounded(largestMagnitude / 6, to: type)
    let stored = NumberConversion.float(e4m3: NumberConversion.e4m3(local))
    return stored > 0 ? stored : 0.125
  }

  /// The global scale as a divisor, for values up to a magnitude; 1 if the quotient is not finite or not positive.
  static func divisor(largestMagnitude: Float, in type: ElementType) -> Float {
    // A tensor library divides a scalar by a tensor by multiplying with the reciprocal.
    let reciprocal = NumberConversion.rounded(1 / NumberConversion.rounded(largestMagnitude, to: type), to: type)
    let scale = NumberConversion.rounded(range * reciprocal, to: type)
    return scale.isFinite && scale > 0 ? scale : 1
  }

  /// The same scheme with another meaning of the tensor's scale.
  public func with(_ globalScale: Grid.GlobalScale?) -> NVFP4Scheme { NVFP4Scheme(globalScale, modelType: modelType) }

  public func multiplier(_ parameters: UnsafePointer<Float>) -> Float {
    switch globalScale {
    case .divisor: parameters[0] / parameters[1]
    case .factor: parameters[0] * parameters[1]
    case nil: parameters[0]
    }
  }

  /// Between the two meanings, the tensor's scale becomes its reciprocal, which may be rounded. Where there was none, it is 1.
  public func repacking(of source: any Scheme) -> Repacking? {
    if source.grid == grid { return .identity }
    guard let source = source as? NVFP4Scheme, globalScale != nil else { return nil }
    guard source.globalScale != nil else {
      let scheme = self
      return Repacking(.exact) { panel in
        var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
        result.codes = panel.codes
        result.parameters = panel.parameters.flatMap { [$0, 1] }
        return result
      }
    }
    return Repacking(.parametersRounded) { panel in
      var result = panel
      for index in stride(from: 1, to: result.parameters.count, by: 2) { result.parameters[index] = 1 / result.parameters[index] }
      return result
    }
  }
}
