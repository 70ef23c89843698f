public import QuantCore

/// Groups of unsigned integers whose zero point need not be a whole number: `(code - zero) * scale`, by the rule of HQQ without its
/// solver.
///
/// With the inverse `s` of the scale: `s = (2^b - 1) / (max - min)`, at most 20,000, and 1 for ranges up to 10⁻⁴; `zero = -min * s`,
/// which 4-bit groups round to a whole number; codes are `round(w * s + zero)`, ties to even. Scale and zero point are rounded to the
/// model's type after that. The method `hqq` improves the zero point.
///
/// Parameters of a tile: the scale and the zero point.
struct HQQScheme: Scheme {
  static let layout = "hqq"
  /// Widths of codes that the library packs without gaps.
  static let widths = [1, 2, 4, 8]
  private static let largestInverse: Float = 2e4
  private static let smallestRange: Float = 1e-4

  let bits: Int
  let length: Int
  /// Type in which the model computes, scales and zero points are stored: `f32`, `f16` or `bf16`.
  let modelType: ElementType

  /// Nil for a width that the library does not pack, or a group size below 1.
  init?(bits: Int, groupLength: Int, modelType: ElementType) {
    guard HQQScheme.widths.contains(bits), groupLength >= 1 else { return nil }
    self.bits = bits
    length = groupLength
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
  }

  var name: String { "hqq\(bits)-g\(length)" }
  var grid: Grid {
    Grid(
      kind: .block, layout: HQQScheme.layout, groupLength: length, codeBits: Double(bits),
      parameterBits: Double(2 * modelType.bitCount), scaleType: modelType)
  }
  var parameterCount: Int { 2 }
  var adjustableParameters: [AdjustableParameter] {
    [AdjustableParameter(1, storage: .float(modelType))] + .factors(1, stored: modelType)
  }

  private var top: Float { Float(1 << bits) - 1 }

  /// Whether the library rounds zero points of this width before its solver runs.
  var roundsZero: Bool { bits == 4 }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    for row in 0..<panel.rows {
      for group in 0..<result.groupsPerRow {
        let (inverse, zero) = fit(panel.row(row) + group * length, at: result.parameterIndex(row: row, group: group), in: &result)
        for column in group * length..<(group + 1) * length {
          result.codes[row * result.columns + column] = HQQScheme.code(panel.row(row)[column] * inverse + zero, top)
        }
      }
    }
  }

  /// Importance is not used: the rule depends only on the extremes of a group.
  func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    for row in 0..<panel.rows {
      for group in 0..<result.groupsPerRow {
        _ = fit(panel.row(row) + group * length, at: result.parameterIndex(row: row, group: group), in: &result)
      }
    }
  }

  /// Stores the parameters of a group.
  /// - Returns: the inverse of its scale and its zero point before they are rounded to the model's type.
  private func fit(_ weights: UnsafePointer<Float>, at position: Int, in result: inout QuantizedPanel) -> (inverse: Float, zero: Float) {
    let (inverse, zero) = range(weights)
    result.parameters[position] = NumberConversion.rounded(1 / inverse, to: modelType)
    result.parameters[position + 1] = NumberConversion.rounded(zero, to: modelType)
    return (inverse, zero)
  }

  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    let top = top
    var codes: [Int32] = []
    swap(&codes, &result.codes)
    codes.withUnsafeMutableBufferPointer { codes in
      result.forEachTile(in: columns) { row, part, parameter in
        let (scale, zero) = (result.parameters[parameter], result.parameters[parameter + 1])
        let source = panel.row(row), first = row * result.columns
        for column in part { codes[first + column] = HQQScheme.code(source[column] / scale + zero, top) }
      }
    }
    swap(&codes, &result.codes)
  }

  func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    quantized.codes.withUnsafeBufferPointer { codes in
      quantized.forEachTile(in: columns) { row, part, parameter in
        let (scale, zero) = (quantized.parameters[parameter], quantized.parameters[parameter + 1])
        let first = row * quantized.columns
        for column in part { destination[first + column] = (Float(codes[first + column]) - zero) * scale }
      }
    }
  }

  /// Affine groups with the minimum `-zero * scale`.
  var generalizations: [(scheme: any Scheme, repacking: Repacking)] {
    guard let affine = AffineScheme(bits: bits, groupLength: length, scaleType: .f32) else { return [] }
    return [
      (
        affine,
        Repacking(.parametersRounded, parameter: "minimum") { panel in
          var result = panel
          for position in stride(from: 0, to: panel.parameters.count, by: 2) {
            result.parameters[position + 1] = -panel.parameters[position + 1] * panel.parameters[position]
          }
          return result
        }
      )
    ]
  }

  /// The inverse of the scale and the zero point of a group, before they are rounded to the model's type.
  private func range(_ weights: UnsafePointer<Float>) -> (inverse: Float, zero: Float) {
    var low = weights[0], high = weights[0]
    for index in 1..<max(1, length) {
      low = min(low, weights[index])
      high = max(high, weights[index])
    }
    let range = high - low
    // PyTorch multiplies by the reciprocal of a divisor.
    let inverse = range <= HQQScheme.smallestRange ? 1 : min(1 / range * top, HQQScheme.largestInverse)
    let zero = -low * inverse
    return (inverse, roundsZero ? zero.rounded(.toNearestOrEven) : zero)
  }

  private static func code(_ value: Float, _ top: Float) -> Int32 {
    value.isNaN ? 0 : Int32(min(max(value.rounded(.toNearestOrEven), 0), top))
  }

}

/// The groups of HQQ.
public enum HQQSchemes: SchemeProvider {
  public static let id = "hqq"
  public static let summary = "Integers of 8, 4, 2 or 1 bits with a scale and a fractional zero point per group."
  public static let reference = "https://github.com/mobiusml/hqq"
  public static let schemeNames = HQQScheme.widths.reversed().map { "hqq\($0)-gN" }

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    guard words.count == 2, words[1].first == "g", let length = Int(words[1].dropFirst()), length <= 1 << 20,
      let bits = HQQScheme.widths.first(where: { words[0] == "hqq\($0)" }),
      let scheme = HQQScheme(bits: bits, groupLength: length, modelType: modelType), scheme.name == name
    else { return nil }
    return scheme
  }
}
