import QuantCore

/// Integer groups of other formats as blocks: every code is kept, and each block gets the scale of its group.
extension GGUFBlockScheme {
  /// - Parameters:
  ///   - kind: of the groups that become such blocks.
  ///   - fidelity: of the repacking, given the type of the groups' scales.
  ///   - rounded: which parameter is rounded, if one is.
  ///   - shift: added to each code.
  ///   - parameters: of a block, from the scale and, if the kind has one, the zero point or minimum.
  /// - Returns: nil for groups of another kind, or groups that are not made of whole blocks.
  fileprivate func repacking(
    of source: any Scheme, _ kind: Grid.Kind, fidelity: (ElementType) -> Repacking.Fidelity, rounded: String = "scale", shift: Int32,
    parameters: @escaping @Sendable (_ scale: Float, _ second: Float) -> [Float]
  ) -> Repacking? {
    let grid = source.grid
    if grid == self.grid { return .identity }
    let hasOne = kind == .symmetricInteger
    guard grid.kind == kind, grid.tileRows == 1, grid.codeBits <= Double(layout.bits), source.parameterCount == (hasOne ? 1 : 2),
      grid.groupLength?.isMultiple(of: layout.weights) ?? true
    else { return nil }
    let scheme = self
    return Repacking(fidelity(grid.scaleType), parameter: rounded) { panel in
      var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
      for index in panel.codes.indices { result.codes[index] = panel.codes[index] &+ shift }
      for row in 0..<result.rows {
        for block in 0..<result.groupsPerRow {
          let own = panel.parameterIndex(row: row, group: block * result.groupLength / panel.groupLength)
          let found = parameters(panel.parameters[own], hasOne ? 0 : panel.parameters[own + 1])
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
    repacking(of: source, .symmetricInteger, fidelity: scaleFidelity, shift: 1 << Int32(layout.bits - 1)) { scale, _ in
      [HalfFloat(scale).value]
    }
  }
}

extension Q8Blocks {
  /// Symmetric integers of any width.
  func repacking(of source: any Scheme) -> Repacking? {
    repacking(of: source, .symmetricInteger, fidelity: scaleFidelity, shift: 0) { scale, _ in [HalfFloat(scale).value] }
  }
}

extension RangeBlocks {
  /// Asymmetric or affine integers of at most as many bits. The minimum (`-zero * scale` of an asymmetric group) is rounded to F16, and is
  /// added after the product instead of being part of it; nothing is rounded to the type of an affine group.
  func repacking(of source: any Scheme) -> Repacking? {
    if source.grid.kind == .affineInteger {
      return repacking(
        of: source, .affineInteger, fidelity: { _ in .parametersRounded }, rounded: "scale and minimum", shift: 0
      ) { [HalfFloat($0).value, HalfFloat($1).value] }
    }
    return repacking(of: source, .asymmetricInteger, fidelity: { _ in .parametersRounded }, rounded: "minimum", shift: 0) { scale, zero in
      [HalfFloat(scale).value, HalfFloat(-zero * scale).value]
    }
  }

  /// Affine groups whose parameters, products and sums have 32 bits.
  var generalizations: [(scheme: any Scheme, repacking: Repacking)] {
    guard let scheme = AffineScheme(bits: layout.bits, groupLength: layout.weights, scaleType: .f32) else { return [] }
    return [
      (
        scheme,
        Repacking(.exact) { panel in
          var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
          result.codes = panel.codes
          result.parameters = panel.parameters
          return result
        }
      )
    ]
  }
}

extension RangeSuperBlocks {
  /// Affine groups: each sub-block with the products of its two integers and the block's scales, which 32 bits hold exactly.
  var generalizations: [(scheme: any Scheme, repacking: Repacking)] {
    guard let scheme = AffineScheme(bits: layout.bits, groupLength: 32, scaleType: .f32) else { return [] }
    return [
      (
        scheme,
        Repacking(.exact) { panel in
          var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
          result.codes = panel.codes
          for group in 0..<result.parameters.count / 2 {
            let block = group / 8 * panel.parameterCount, own = group % 8
            result.parameters[2 * group] = panel.parameters[block] * panel.parameters[block + 2 + own]
            result.parameters[2 * group + 1] = -(panel.parameters[block + 1] * panel.parameters[block + 10 + own])
          }
          return result
        }
      )
    ]
  }
}

// Weights that are values of such blocks already.

extension SymmetricBlocks {
  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    LatticeSearch(tile, storedIn: type)?.signedMultiples(bits: layout.bits, scaleType: .f16).map { [$0] }
  }
}

extension Q8Blocks {
  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    LatticeSearch(tile, storedIn: type)?.signedMultiples(bits: 8, scaleType: .f16).map { [$0] }
  }
}

extension RangeBlocks {
  /// Those whose minimum is a multiple of the scale.
  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    LatticeSearch(tile, storedIn: type)?.shiftedMultiples(bits: layout.bits, scaleType: .f16).map {
      [$0.scale, HalfFloat(-$0.zero * $0.scale).value]
    }
  }
}
