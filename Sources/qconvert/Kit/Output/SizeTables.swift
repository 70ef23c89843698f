import QuantCore

/// The tables of an analysis, and of the sizes that it offers.
enum SizeTables {
  /// Types that a table of tensors has columns for.
  private static let columns = 7

  /// Names that are separated by commas.
  static func names(_ text: String) -> [String] {
    text.split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
  }

  /// The effects, what types cost the tensors, and the front.
  static func text(_ report: SizeReport, style: Style) -> String {
    [effects(report.analysis), tensors(report.analysis), front(report.front)].map { $0.text(style: style) }.joined(separator: "\n")
  }

  private static func effects(_ analysis: SizeAnalysis) -> Table {
    var table = Table([("KIND", .left), ("BLOCKS", .left), ("LOSS", .right), ("KLD", .right), ("KLD PER LOSS", .right), ("GROWTH", .right)])
    for effect in analysis.effects {
      let blocks = effect.blocks.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" } ?? ""
      table.add([effect.kind, blocks, effect.loss.fixed(6), effect.divergence.fixed(6), effect.slope.fixed(6), effect.growth.fixed(2)])
    }
    return table
  }

  /// The divergence that types add, for types that are spread over all bits per weight.
  private static func tensors(_ analysis: SizeAnalysis) -> Table {
    var types: [(name: String, bits: Double)] = []
    for candidate in analysis.tensors.flatMap(\.candidates) where !types.contains(where: { $0.name == candidate.scheme }) {
      types.append((candidate.scheme, candidate.bitsPerWeight))
    }
    types.sort { ($0.bits, $0.name) < ($1.bits, $1.name) }
    let count = min(columns, types.count)
    let shown = (0..<count).map { types[count == 1 ? 0 : $0 * (types.count - 1) / (count - 1)].name }
    var table = Table([("TENSOR", .left), ("WEIGHTS", .right)] + shown.map { ($0, .right) })
    for tensor in analysis.tensors {
      table.add(
        [tensor.key, tensor.weights.grouped]
          + shown.map { name in tensor.candidates.first { $0.scheme == name }?.divergence.fixed(6) ?? "" })
    }
    return table
  }

  /// Sizes with the divergence to expect.
  static func front(_ points: [SizeOutcome.Point]) -> Table {
    var table = Table([("SIZE", .right), ("BITS PER WEIGHT", .right), ("EXPECTED KLD", .right)])
    for point in points {
      table.add([ByteSize.format(point.bytes), point.bitsPerWeight.fixed(2), point.divergence.fixed(5)])
    }
    return table
  }
}
