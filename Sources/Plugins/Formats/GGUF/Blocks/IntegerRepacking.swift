import QuantCore

/// Integer groups of other formats as blocks: every code is kept, and each block gets the scale of its group.
extension GGUFBlockScheme {
  /// - Parameters:
  ///   - isSymmetric: whether the groups that become such blocks are symmetric.
  ///   - fidelity: of the repacking, given the type of the groups' scales.
  ///   - rounded: which parameter is rounded, if one is.
  ///   - shift: added to each code.
  ///   - parameters: of a block, from scale and zero point.
  /// - Returns: nil for groups of another kind, or groups that are not made of whole blocks.
  fileprivate func repacking(
    of source: any Scheme, isSymmetric: Bool, fidelity: (ElementType) -> Repacking.Fidelity, rounded: String = "scale", shift: Int32,
    parameters: @escaping @Sendable (_ scale: Float, _ zero: Float) -> [Float]
  ) -> Repacking? {
    let grid = source.grid
    if grid == self.grid { return .identity }
    guard grid.kind == (isSymmetric ? .symmetricInteger : .asymmetricInteger), grid.tileRows == 1, grid.codeBits <= Double(layout.bits),
      source.parameterCount == (isSymmetric ? 1 : 2), grid.groupLength?.isMultiple(of: layout.weights) ?? true
    else { return nil }
    let scheme = self
    return Repacking(fidelity(grid.scaleType), parameter: rounded) { panel in
      var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
      for index in panel.codes.indices { result.codes[index] = panel.codes[index] &+ shift }
      for row in 0..<result.rows {
        for block in 0..<result.groupsPerRow {
          let own = panel.parameterIndex(row: row, group: block * result.groupLength / panel.groupLength)
          let found = parameters(panel.parameters[own], isSymmetric ? 0 : panel.parameters[own + 1])
          result.parameters.replaceSubrange(
            result.parameterIndex(row: row, group: block)..<result.parameterIndex(row: row, group: block) + found.count, with: found)
        }
      }
      return result
    }
  }

  /// For blocks with a single F16 scale.
  fileprivate func scaleFidelity(_ type: ElementType) -> Repacking.Fidelity { type == .f16 ? .exact : .parametersRounded }
}

extension SymmetricBlocks {
  /// Symmetric integers of at most as many bits.
  func repacking(of source: any Scheme) -> Repacking? {
    repacking(of: source, isSymmetric: true, fidelity: scaleFidelity, shift: 1 << Int32(layout.bits - 1)) { scale, _ in
      [HalfFloat(scale).value]
    }
  }
}

extension Q8Blocks {
  /// Symmetric integers of any width.
  func repacking(of source: any Scheme) -> Repacking? {
    repacking(of: source, isSymmetric: true, fidelity: scaleFidelity, shift: 0) { scale, _ in [HalfFloat(scale).value] }
  }
}

extension RangeBlocks {
  /// Asymmetric integers of at most as many bits. The minimum, `-zero * scale`, is rounded to F16, and is added after the
  /// product instead of being part of it.
  func repacking(of source: any Scheme) -> Repacking? {
    repacking(of: source, isSymmetric: false, fidelity: { _ in .parametersRounded }, rounded: "minimum", shift: 0) { scale, zero in
      [HalfFloat(scale).value, HalfFloat(-zero * scale).value]
    }
  }
}
