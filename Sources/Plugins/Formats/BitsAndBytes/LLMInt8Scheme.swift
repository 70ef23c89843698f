import QuantCore

/// Signed bytes with a scale per row, by the rule of LLM.int8() in bitsandbytes.
///
/// Weights are converted to F16 first. Parameter of a row: its largest magnitude, in 32 bits; a code counts 127ths of it, rounded
/// half to even. The largest magnitude itself is stored, not the scale, and clients multiply by it before they divide by 127.
struct LLMInt8Scheme: Scheme {
  static let schemeName = "llm-int8"
  /// What clients multiply by instead of dividing by 127.
  private static let reciprocal: Float = 7.874015718698502e-3

  /// The type in which the model computes.
  let modelType: ElementType

  var name: String { LLMInt8Scheme.schemeName }
  var grid: Grid { Grid(kind: .block, layout: name, groupLength: nil, codeBits: 8, parameterBits: 32, scaleType: .f32) }
  var parameterCount: Int { 1 }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    nearest(panel, columns: 0..<panel.columns, into: &result)
  }

  /// Importance is not used: the rule is the largest magnitude of a row.
  func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    for row in 0..<panel.rows {
      let source = panel.row(row)
      var largest: Float = 0
      for column in 0..<panel.columns { largest = max(largest, abs(NumberConversion.rounded(source[column], to: .f16))) }
      result.parameters[row] = largest
    }
  }

  /// Largest magnitudes, of which every weight is a multiple of a 127th.
  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    guard let search = LatticeSearch(tile, storedIn: type) else { return nil }
    let codes = -127...127
    let found = search.multiples(upTo: 127, lone: 127, scaleType: .f32) {
      codes.contains($0.lowerBound) && codes.contains($0.upperBound)
    }
    // The rule gives the largest weight the largest code, which then means the magnitude itself.
    return found.map { [max(-$0.range.lowerBound, $0.range.upperBound) == 127 ? search.largestMagnitude : $0.scale * 127] }
  }

  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    for row in 0..<panel.rows {
      let source = panel.row(row)
      // The library multiplies by the reciprocal instead of dividing, which differs in the last bit.
      let factor = 1 / result.parameters[row] * 127
      for column in columns {
        let scaled = NumberConversion.rounded(source[column], to: .f16) * factor
        // A row of zeros has no finite factor.
        let clamped = min(max(scaled.isNaN ? 0 : scaled, -127), 127)
        result.codes[row * result.columns + column] = Int32(clamped.rounded(.toNearestOrEven))
      }
    }
  }

  func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    for row in 0..<quantized.rows {
      for column in columns {
        let index = row * quantized.columns + column
        destination[index] = Float(quantized.codes[index]) * quantized.parameters[row] * LLMInt8Scheme.reciprocal
      }
    }
  }

  /// Rows of signed 8-bit integers keep their codes; the stored magnitude is 127 scales, rounded.
  func repacking(of source: any Scheme) -> Repacking? {
    if source.grid == grid { return .identity }
    guard source.grid.kind == .symmetricInteger, source.grid.codeBits == 8, source.grid.groupLength == nil, source.grid.tileRows == 1,
      source.parameterCount == 1
    else { return nil }
    return Repacking(.parametersRounded) { panel in
      var result = panel
      for index in result.parameters.indices { result.parameters[index] *= 127 }
      return result
    }
  }
}
