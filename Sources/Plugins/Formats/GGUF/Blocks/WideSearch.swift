import CBlocks
import QuantCore

/// Blocks with a wider search for their parameters than llama.cpp's: what `--search best` asks for.
///
/// Scale and minimum are found together by least squares from many beginnings, those of super-blocks with the integers that scale
/// their sub-blocks, and always for what a reader computes. Errors weigh what the importance of their column says, or all the
/// same. No block gets a larger weighted error than the default rule gives it. Bytes are on the grid of the base, so that
/// packings and readers are the same.
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
    improve(&result, for: panel, importance ?? [Float](repeating: 1, count: panel.columns))
  }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    base.encode(panel, importance: importance, into: &result)
    let weights = importance ?? [Float](repeating: 1, count: panel.columns)
    var refined = result
    improve(&refined, for: panel, weights)
    base.nearest(panel, columns: 0..<panel.columns, into: &refined)
    let errors = errors(result, panel, weights), refinedErrors = self.errors(refined, panel, weights)
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

  func adoption(of source: any Scheme) -> Adoption? { base.adoption(of: source) }

  private func improve(_ result: inout QuantizedPanel, for panel: Panel, _ weights: [Float]) {
    let perRow = result.groupsPerRow
    result.parameters.withUnsafeMutableBufferPointer { parameters in
      guard let parameters = parameters.baseAddress else { return }
      for row in 0..<panel.rows { refine(panel.row(row), weights, Int64(perRow), parameters + row * perRow * parameterCount) }
    }
  }

  /// The weighted squared error of each block.
  private func errors(_ quantized: QuantizedPanel, _ panel: Panel, _ weights: [Float]) -> [Double] {
    let values = base.values(quantized), length = base.layout.weights, perRow = quantized.groupsPerRow
    return (0..<panel.rows * perRow).map { block in
      let x = panel.row(block / perRow), first = block % perRow * length
      return (first..<first + length).reduce(0.0) { sum, column in
        let difference = Double(values[block / perRow * panel.columns + column]) - Double(x[column])
        return sum + Double(weights[column]) * difference * difference
      }
    }
  }
}

extension GGUFBlockScheme {
  var widerSearch: (any Scheme)? { WideSearch(self) }
}
