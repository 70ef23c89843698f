import CKernels

/// A scheme whose codes are bit patterns of a short float, each multiplied by the scale of its tile.
///
/// A conforming type says how the scale follows from the largest magnitude of a tile; everything else is shared: codes are the
/// nearest values to `w / scale`, clamped, ties to even, subnormals included. No input gives the code of an infinity or a NaN.
public protocol ScaledFloatScheme: Scheme {
  /// What a code is.
  var element: ShortFloat { get }
  /// Type in which the model computes, to which `encode` rounds weights first.
  var modelType: ElementType { get }
  /// Type to which `encode` rounds `w / scale`: the model's, or `f32`.
  var quotientType: ElementType { get }
  /// Writes the parameters of a tile, as they will be stored.
  func fit(largestMagnitude: Float, into parameters: UnsafeMutablePointer<Float>)
  /// What the floats of a tile with these parameters are multiplied by.
  func multiplier(_ parameters: UnsafePointer<Float>) -> Float
}

extension ScaledFloatScheme {
  /// Runs a loop over the columns of each row with the multipliers of the row's tiles.
  private func forEachRow(
    of panel: QuantizedPanel, _ body: (_ row: Int, _ length: Int, _ multipliers: UnsafePointer<Float>) -> Void
  ) {
    let groups = panel.groupsPerRow
    guard groups > 0 else { return }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: groups) { multipliers in
      guard let base = multipliers.baseAddress else { return }
      panel.parameters.withUnsafeBufferPointer { parameters in
        guard let parameters = parameters.baseAddress else { return }
        for row in 0..<panel.rows {
          // Rows of the same tiles have the same multipliers.
          if row.isMultiple(of: panel.tileRows) {
            let first = parameters + panel.parameterIndex(row: row, group: 0)
            for group in 0..<groups { base[group] = multiplier(first + group * panel.parameterCount) }
          }
          body(row, panel.groupLength, base)
        }
      }
    }
  }

  /// Importance is not used: the rules depend only on the largest magnitude of a tile.
  public func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    let groups = result.groupsPerRow
    guard groups > 0 else { return }
    var largest = [Float](repeating: 0, count: groups)
    var found = largest
    for first in stride(from: 0, to: panel.rows, by: result.tileRows) {
      for group in 0..<groups { largest[group] = 0 }
      for row in first..<min(first + result.tileRows, panel.rows) {
        found.withUnsafeMutableBufferPointer { found in
          if let base = found.baseAddress { qc_magnitudes(panel.row(row), panel.columns, result.groupLength, base) }
        }
        for group in 0..<groups { largest[group] = max(largest[group], found[group]) }
      }
      let start = result.parameterIndex(row: first, group: 0)
      result.parameters.withUnsafeMutableBufferPointer { parameters in
        guard let base = parameters.baseAddress else { return }
        for group in 0..<groups { fit(largestMagnitude: largest[group], into: base + start + group * parameterCount) }
      }
    }
  }

  public func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    var codes: [Int32] = []
    swap(&codes, &result.codes)
    codes.withUnsafeMutableBufferPointer { codes in
      guard let base = codes.baseAddress else { return }
      forEachRow(of: result) { row, length, multipliers in
        qc_short_codes(
          panel.row(row), panel.columns, length, multipliers, modelType.kernelType, quotientType.kernelType, element.kernelElement,
          base + row * panel.columns)
      }
    }
    swap(&codes, &result.codes)
  }

  /// Computes in 32 bits, where the code that it finds really is the nearest to a weight.
  public func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    var codes: [Int32] = []
    swap(&codes, &result.codes)
    codes.withUnsafeMutableBufferPointer { codes in
      guard let base = codes.baseAddress else { return }
      forEachTile(of: result, columns: columns) { row, part, multiplier in
        qc_short_codes(
          panel.row(row) + part.lowerBound, part.count, part.count, multiplier, Int32(QC_FLOAT), Int32(QC_FLOAT), element.kernelElement,
          base + row * result.columns + part.lowerBound)
      }
    }
    swap(&codes, &result.codes)
  }

  public func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    quantized.codes.withUnsafeBufferPointer { codes in
      guard let base = codes.baseAddress else { return }
      guard columns.count < quantized.columns else {
        return forEachRow(of: quantized) { row, length, multipliers in
          let start = row * quantized.columns
          qc_short_values(base + start, quantized.columns, length, multipliers, element.kernelElement, destination + start)
        }
      }
      forEachTile(of: quantized, columns: columns) { row, part, multiplier in
        let start = row * quantized.columns + part.lowerBound
        qc_short_values(base + start, part.count, part.count, multiplier, element.kernelElement, destination + start)
      }
    }
  }

  /// Runs a loop over the part of each tile that lies in some columns.
  private func forEachTile(
    of panel: QuantizedPanel, columns: Range<Int>, _ body: (_ row: Int, _ columns: Range<Int>, _ multiplier: UnsafePointer<Float>) -> Void
  ) {
    panel.parameters.withUnsafeBufferPointer { parameters in
      guard let parameters = parameters.baseAddress else { return }
      panel.forEachTile(in: columns) { row, part, parameter in
        var multiplier = multiplier(parameters + parameter)
        body(row, part, &multiplier)
      }
    }
  }
}
