extension IntegerScheme {
  /// Integers of at most as many bits, in groups of this scheme's size or a multiple of it: codes stay, and so do scales, which are
  /// repeated. A symmetric group can become an asymmetric one with its zero point in the middle, but not the other way round.
  public func repacking(of source: any Scheme) -> Repacking? {
    let from = source.grid
    if from == grid, source.parameterCount == parameterCount { return .identity }
    guard from.kind == .symmetricInteger || from.kind == .asymmetricInteger && !isSymmetric, from.tileRows == 1,
      source.parameterCount == (from.kind == .symmetricInteger ? 1 : 2), from.codeBits <= Double(bits),
      holdsGroups(of: from.groupLength)
    else { return nil }
    let (scheme, wasSymmetric) = (self, from.kind == .symmetricInteger)
    return Repacking(scaleType.holds(from.scaleType) ? .exact : .parametersRounded) { scheme.repacked($0, wasSymmetric: wasSymmetric) }
  }

  private func holdsGroups(of length: Int?) -> Bool {
    guard let own = groupLength else { return length == nil }
    return length?.isMultiple(of: own) ?? true
  }

  private func repacked(_ panel: QuantizedPanel, wasSymmetric: Bool) -> QuantizedPanel {
    var result = emptyPanel(rows: panel.rows, columns: panel.columns)
    let middle: Int32 = 1 << Int32(bits - 1)
    result.codes = panel.codes
    if wasSymmetric && !isSymmetric {
      for index in result.codes.indices { result.codes[index] &+= middle }
    }
    for row in 0..<result.rows {
      for group in 0..<result.groupsPerRow {
        let target = result.parameterIndex(row: row, group: group)
        let source = panel.parameterIndex(row: row, group: group * result.groupLength / panel.groupLength)
        result.parameters[target] = NumberConversion.rounded(panel.parameters[source], to: scaleType)
        if !isSymmetric { result.parameters[target + 1] = wasSymmetric ? Float(middle) : panel.parameters[source + 1] }
      }
    }
    return result
  }
}

extension ElementType {
  /// Whether a type for scales holds every value of another.
  public func holds(_ other: ElementType) -> Bool { self == other || self == .f32 && (other == .f16 || other == .bf16) }
}
