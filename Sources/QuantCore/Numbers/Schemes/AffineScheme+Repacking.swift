extension AffineScheme {
  /// Affine or other integers of at most as many bits, in groups of this scheme's size or a multiple of it: codes stay, or are counted
  /// from 0. A zero point becomes the minimum `-zero * scale`, which is rounded like the scale. Weights may change by the rounding of
  /// products and sums to the type of the scales.
  public func repacking(of source: any Scheme) -> Repacking? {
    let from = source.grid
    if from == grid, source.parameterCount == parameterCount { return .identity }
    guard from.tileRows == 1, from.codeBits <= Double(bits), from.groupLength?.isMultiple(of: length) ?? true else { return nil }
    let scheme = self, half: Int32 = 1 << Int32(max(1, min(8, from.codeBits)) - 1)
    switch (from.kind, source.parameterCount) {
    case (.symmetricInteger, 1):
      return Repacking(fidelity(from), parameter: "minimum") { panel in
        scheme.repacked(panel, adding: half) { [$0[0], -Float(half) * $0[0]] }
      }
    case (.asymmetricInteger, 2):
      return Repacking(fidelity(from), parameter: "minimum") { panel in scheme.repacked(panel) { [$0[0], -$0[1] * $0[0]] } }
    case (.affineInteger, 2):
      return Repacking(.parametersRounded, parameter: "scale and minimum") { panel in scheme.repacked(panel) { [$0[0], $0[1]] } }
    default: return nil
    }
  }

  /// In 32 bits, products of codes and 16-bit scales, and their sums, are not rounded.
  private func fidelity(_ source: Grid) -> Repacking.Fidelity {
    scaleType == .f32 && (source.scaleType == .f16 || source.scaleType == .bf16) ? .exact : .parametersRounded
  }

  private func repacked(
    _ panel: QuantizedPanel, adding offset: Int32 = 0, parameters: ([Float]) -> [Float]
  ) -> QuantizedPanel {
    var result = emptyPanel(rows: panel.rows, columns: panel.columns)
    for index in panel.codes.indices { result.codes[index] = panel.codes[index] &+ offset }
    for row in 0..<result.rows {
      for group in 0..<result.groupsPerRow {
        let source = panel.parameterIndex(row: row, group: group * result.groupLength / panel.groupLength)
        let target = result.parameterIndex(row: row, group: group)
        let found = parameters(Array(panel.parameters[source..<source + panel.parameterCount]))
        for (index, value) in found.enumerated() { result.parameters[target + index] = NumberConversion.rounded(value, to: scaleType) }
      }
    }
    return result
  }

  // MARK: Whole zero points

  /// The zero point that gives this minimum: `-zero * scale`, up to one unit in the last place of the type that both are stored in.
  /// - Returns: nil if no whole number between 0 and the largest code is one. A negative scale counts codes from the other end.
  public func zeroPoint(scale: Float, minimum: Float) -> Float? {
    guard scale != 0, scale.isFinite, minimum.isFinite else { return nil }
    let zero = (-minimum / scale).rounded(.toNearestOrEven)
    guard (0...top).contains(zero), (zero * scale + minimum).magnitude <= minimum.magnitude * scaleType.machineEpsilon else { return nil }
    return zero
  }

  /// Asymmetric groups, if every minimum is that of a whole zero point.
  public var generalizations: [(scheme: any Scheme, repacking: Repacking)] {
    guard hasWholeZeroPoints?() == true,
      let integers = IntegerScheme(bits: bits, groupLength: length, isSymmetric: false, modelType: scaleType)
    else { return [] }
    let scheme = self
    return [(integers, Repacking(.parametersRounded, parameter: "minimum") { scheme.withZeroPoints($0) })]
  }

  private func withZeroPoints(_ panel: QuantizedPanel) -> QuantizedPanel {
    var result = panel
    for row in 0..<panel.rows {
      for group in 0..<panel.groupsPerRow {
        let position = panel.parameterIndex(row: row, group: group)
        let scale = panel.parameters[position]
        let zero = zeroPoint(scale: scale, minimum: panel.parameters[position + 1]) ?? 0
        result.parameters[position] = scale.magnitude
        result.parameters[position + 1] = scale < 0 ? top - zero : zero
        guard scale < 0 else { continue }
        // Codes of a negative scale are counted from the other end.
        for column in group * panel.groupLength..<min(panel.columns, (group + 1) * panel.groupLength) {
          result.codes[row * panel.columns + column] = Int32(top) &- panel.codes[row * panel.columns + column]
        }
      }
    }
    return result
  }
}
