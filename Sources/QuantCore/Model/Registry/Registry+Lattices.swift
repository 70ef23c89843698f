extension Registry {
  /// Tile lengths and widths of squares that are tried for schemes of any length, the longest first.
  private static let lengths = [1024, 512, 256, 128, 64, 32]
  private static let squares = [128]
  /// Columns at which schemes are compared in size.
  private static let usualColumns = 4096

  /// The schemes on whose grids weights may lie, those of the fewest bits first.
  /// - Parameter modelType: the type in which some schemes store scales.
  package func latticeSchemes(modelType: ElementType) -> [any Scheme] {
    let names = schemeProviders.flatMap { $0.schemeNames }.flatMap { name in
      let lengths = name.contains("-blockN") ? Registry.squares : name.contains("-gN") ? Registry.lengths : []
      return lengths.isEmpty ? [name] : lengths.map { name.replacing("N", with: String($0), maxReplacements: 1) }
    }
    let schemes = names.compactMap { try? scheme($0, modelType: modelType) }.filter { $0.grid.kind != .float }
    return schemes.enumerated().sorted { first, second in
      let bits = [first, second].map { $0.element.bitsPerWeight(columns: Registry.usualColumns) }
      return (bits[0], first.offset) < (bits[1], second.offset)
    }.map(\.element)
  }
}
