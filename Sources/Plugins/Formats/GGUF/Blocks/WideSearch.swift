import CBlocks
import QuantCore

/// Blocks with a wider search for their parameters than llama.cpp's, used with `--search best`.
///
/// Scale and minimum are fitted together by least squares from many starting points, in super-blocks together with the integers that
/// scale their sub-blocks, and always for the values that a client computes. Errors are weighted (`weights(_:_:_:)`); without importance,
/// errors of large weights count more, as in the default rule of `q4_k`: `rms + |x|`, with the root mean square of the weights that share a
/// scale. No block gets a larger weighted error than by the default rule. Bytes are on the grid of the base,
/// so that packings and clients are the same.
struct WideSearch<Base: GGUFBlockScheme>: Scheme {
  let base: Base
  private let refine: qc_block_refiner

  /// Nil for a layout without a wider search.
  init?(_ base: Base) {
    guard let refine = base.layout.refiner else { return nil }
    self.base = base
    self.refine = refine
  }

  var name: String { base.name }
  var grid: Grid { base.grid }
  var parameterCount: Int { base.parameterCount }

  func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    base.fit(panel, importance: importance, into: &result)
    improve(&result, for: panel, importance)
  }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    base.encode(panel, importance: importance, into: &result)
    var refined = result
    improve(&refined, for: panel, importance)
    base.nearest(panel, columns: 0..<panel.columns, into: &refined)
    let errors = errors(result, panel, importance), refinedErrors = self.errors(refined, panel, importance)
    let codes = base.layout.weights
    for block in errors.indices where refinedErrors[block] < errors[block] {
      let codes = block * codes..<(block + 1) * codes, parameters = block * parameterCount..<(block + 1) * parameterCount
      result.codes.replaceSubrange(codes, with: refined.codes[codes])
      result.parameters.replaceSubrange(parameters, with: refined.parameters[parameters])
    }
  }

  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    base.nearest(panel, columns: columns, into: &result)
  }

  func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    base.value(quantized, columns: columns, into: destination)
  }

  func repacking(of source: any Scheme) -> Repacking? { base.repacking(of: source) }

  private func improve(_ result: inout QuantizedPanel, for panel: Panel, _ importance: [Float]?) {
    let perRow = result.groupsPerRow
    result.parameters.withUnsafeMutableBufferPointer { parameters in
      guard let parameters = parameters.baseAddress else { return }
      for row in 0..<panel.rows {
        refine(
          panel.row(row), weights(panel.row(row), panel.columns, importance), Int64(perRow), parameters + row * perRow * parameterCount)
      }
    }
  }

  /// The weights of the errors of a row: importance, or `rms + |x|` without; for codes of one or two bits, the product of both. With so few
  /// levels, least squares shrinks the large weights, on which the layer's outputs depend most, if nothing makes them count more (measured:
  /// Docs/schemes.md).
  private func weights(_ x: UnsafePointer<Float>, _ columns: Int, _ importance: [Float]?) -> [Float] {
    if let importance, base.grid.codeBits > 2 { return importance }
    let length = base.layout.scaleWeights
    var weights: [Float] = []
    weights.reserveCapacity(columns)
    for start in stride(from: 0, to: columns, by: length) {
      let root = (sumOfSquares(x + start, length) / Float(length)).squareRoot()
      for column in start..<start + length { weights.append((root + x[column].magnitude) * (importance?[column] ?? 1)) }
    }
    return weights
  }

  /// The weighted squared error of each block.
  private func errors(_ quantized: QuantizedPanel, _ panel: Panel, _ importance: [Float]?) -> [Double] {
    let values = base.values(quantized), length = base.layout.weights
    return (0..<panel.rows).flatMap { row in
      let x = panel.row(row), weights = weights(x, panel.columns, importance)
      return stride(from: 0, to: panel.columns, by: length).map { first in
        (first..<first + length).reduce(0.0) { sum, column in
          let difference = Double(values[row * panel.columns + column]) - Double(x[column])
          return sum + Double(weights[column]) * difference * difference
        }
      }
    }
  }
}

extension GGUFBlockScheme {
  var widerSearch: (any Scheme)? { WideSearch(self) }
}
