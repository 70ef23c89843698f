public import QuantCore

/// Activation-aware weight quantization: scale the input channels that matter before rounding, and clip outliers of groups
/// where that lowers the error of the output.
///
/// A channel with large activations deserves small rounding errors. Its weights are multiplied by `s > 1`, so that they
/// lose less relative to themselves, and the producer of the channel is divided by `s`: the block computes the same. The
/// scales are powers of the mean activation, found on a grid; every candidate is rounded with the *actual* target scheme
/// and scored by `tr(ΔW·H·ΔWᵀ)`, the squared error of the layer's output on the calibration text, straight from the Gram
/// matrix. Where another method rounds behind it (`--plugin awq --plugin gptq`), that method's rounding is scored. The identity is always a candidate, so a site is never made worse on the calibration text.
///
/// Where people fall: a producer must be divided for *every* consumer (the graph lists them); through grouped heads the
/// scales must be tied; and clipping belongs to rounding, on the scaled weights.
///
/// Source: Lin et al., *AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration* (arXiv 2306.00978),
/// §3.2; scale formula with weight magnitudes ("duo") as in AutoAWQ; scoring per linear layer as in ModelOpt's `awq_lite`.
public struct AWQ: QuantizationMethod {
  public static let id = "awq"
  public static let summary = "Activation-aware scaling of channels, then clipping, against the actual target scheme."
  public static let reference = "arXiv 2306.00978"
  public static let requirements: Set<Statistic> = [.meanAbsolute, .gram]
  public static let options = [
    OptionDeclaration(name: "scale", summary: "search a scale per channel", defaultValue: "on"),
    OptionDeclaration(name: "clip", summary: "search clip bounds per group (queries and keys excepted)", defaultValue: "on"),
    OptionDeclaration(name: "grid", summary: "points of the scale search", defaultValue: "20"),
    OptionDeclaration(
      name: "duo", summary: "also try scales that divide by the mean weight magnitude", defaultValue: "on"),
    OptionDeclaration(
      name: "importance", summary: "weigh the fit of parameters with the inputs' power, where the scheme can", defaultValue: "on"),
    OptionDeclaration(
      name: "search", summary: "scheme to search against where layers stay unquantized (for tests of the folds)",
      defaultValue: "target"),
  ]

  let scales: Bool
  let clips: Bool
  let gridSize: Int
  let duo: Bool
  let weighsFit: Bool
  let searchScheme: String?

  /// - Throws: `Failure` where an option's value is out of range.
  public init(_ options: OptionValues) throws {
    scales = try options.flag("scale")
    clips = try options.flag("clip")
    gridSize = try options.integer("grid", in: 1...200)
    duo = try options.flag("duo")
    weighsFit = try options.flag("importance")
    let search = options.string("search")
    searchScheme = search == "target" ? nil : search
  }

  public var stages: Set<MethodStage> {
    var stages: Set<MethodStage> = scales ? [.transform] : []
    if clips || weighsFit { stages.insert(.round) }
    return stages
  }

  /// With a scheme to search against, layers that stay unquantized are scaled too.
  public var roundsByStatistics: Bool { searchScheme == nil }

  public func transform(_ block: inout BlockWorkspace) throws -> [String] {
    guard scales else { return [] }
    var notes: [String] = []
    for fold in block.graph.folds {
      guard let statistics = block.statistics[fold.site], statistics.tokens > 0, !statistics.gram.isEmpty else { continue }
      var consumers: [ScaleSearch.Consumer] = []
      for layer in block.graph.consumers(of: fold) {
        guard let matrix = block.matrices[layer] else { continue }
        let scheme = try searchScheme.map(block.schemeNamed) ?? block.schemes[layer]
        guard let scheme, scheme.grid.kind != .float, scheme.fits(columns: matrix.columns) else { continue }
        consumers.append(ScaleSearch.Consumer(layer: layer, matrix: matrix, scheme: scheme))
      }
      guard !consumers.isEmpty else { continue }
      let search = ScaleSearch(
        consumers: consumers, statistics: statistics, fold: fold, gridSize: gridSize, duo: duo, weighsFit: weighsFit,
        block: block.index, rounderBehind: block.rounderBehind, parallel: block.parallel)
      let best = try search.run()
      if let scales = best.scales { block.apply(fold, scales: scales) }
      notes.append("block \(block.index) \(fold.site.name): \(best.description)")
    }
    return notes
  }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard let statistics = task.statistics, !statistics.gram.isEmpty, task.scheme.grid.kind != .float else { return nil }
    let importance = weighsFit ? statistics.importance : nil
    // Where rows share a scale, one row alone cannot be clipped. Clipping queries and keys changes attention scores out of
    // proportion to their own error.
    let role = task.id?.role
    if clips, task.scheme.grid.tileRows == 1, role != .query, role != .key {
      return ClipRounder(scheme: task.scheme, statistics: statistics.withoutSilence, importance: importance)
    }
    // Of all rules only those of block layouts look at importance.
    guard let importance, task.scheme.grid.kind == .block else { return nil }
    return WeightedRounder(scheme: task.scheme, importance: importance)
  }
}

/// The scheme's own rule, with columns weighed.
struct WeightedRounder: Rounder {
  let scheme: any Scheme
  /// Nil: all columns weigh the same.
  let importance: [Float]?

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: importance, into: &result)
  }
}

extension SiteStatistics {
  /// What an error in a channel weighs: its mean square, relative to their mean, which keeps the arithmetic far from overflow.
  var importance: [Float]? {
    let diagonal = (0..<channels).map { gram[$0 * channels + $0] }
    let mean = Float(diagonal.reduce(0.0) { $0 + Double($1) } / Double(max(1, channels)))
    guard mean > 0, mean.isFinite else { return nil }
    // A silent channel may speak later.
    return diagonal.map { max($0 / mean, 1e-6) }
  }

  /// With silent channels as loud as the mean: they may speak later, and an error in them must not be free.
  var withoutSilence: SiteStatistics {
    let silent = (0..<channels).filter { gram[$0 * channels + $0] == 0 }
    guard !silent.isEmpty else { return self }
    var result = self
    let sum = (0..<channels).reduce(0.0) { $0 + Double(gram[$1 * channels + $1]) }
    for c in silent { result.gram[c * channels + c] = Float(sum / Double(channels)) }
    return result
  }
}
