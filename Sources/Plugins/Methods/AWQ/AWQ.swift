public import QuantCore

/// Activation-aware weight quantization: scale the input channels that matter before rounding, and clip outliers of groups
/// if that lowers the error of the output.
///
/// A channel with large activations needs small rounding errors. Its weights are multiplied by `s > 1`, which makes their
/// relative errors smaller, and the producer of the channel is divided by `s`: the block computes the same. The scales are
/// powers of the mean activation, found by a grid search; every candidate is rounded with the *actual* scheme and scored by
/// `tr(ΔW·H·ΔWᵀ)`, the squared error of the layer's output on the calibration text, straight from the Gram matrix. If
/// another method rounds after this one (`--plugin awq --plugin gptq`), that method's rounding is scored. The identity is
/// always a candidate, so that no site gets worse on the calibration text.
///
/// The traps: a producer must be divided for *every* consumer (the graph lists them); with grouped heads, the scales must be
/// tied; and clipping is part of rounding, applied to the scaled weights.
///
/// Source: Lin et al., *AWQ: Activation-aware Weight Quantization for LLM Compression and Acceleration* (arXiv 2306.00978),
/// §3.2; scale formula with weight magnitudes ("duo") as in AutoAWQ; scoring per linear layer as in ModelOpt's `awq_lite`.
public struct AWQ: QuantizationMethod {
  public static let id = "awq"
  public static let summary = "Scales channels by their activations, then clips weights; searches with the actual scheme."
  public static let reference = "arXiv 2306.00978"
  public static let requirements: Set<Statistic> = [.meanAbsolute, .gram]
  /// Before a method that rounds with feedback: where channels are loud, that alone is not enough.
  public static let qualities: [Quality: [String: String]] = [.best: [:]]
  public static let options = [
    OptionDeclaration(name: "scale", summary: "search for a scale per channel", defaultValue: "on"),
    OptionDeclaration(name: "clip", summary: "search for clip bounds per group, except for queries and keys", defaultValue: "on"),
    OptionDeclaration(
      name: "sites", summary: "where to scale: all; loud: only where that saves at least a fifth of the error", defaultValue: "all"),
    OptionDeclaration(name: "grid", summary: "try this many exponents in the scale search", defaultValue: "20"),
    OptionDeclaration(
      name: "duo", summary: "also try scales that divide by the mean weight magnitude", defaultValue: "on"),
    OptionDeclaration(
      name: "importance", summary: "weight the fit of parameters by importance, if the scheme can", defaultValue: "on"),
    OptionDeclaration(
      name: "search", summary: "search with this scheme if layers stay unquantized (for tests of folds)",
      defaultValue: "target"),
  ]

  let scales: Bool
  let clips: Bool
  let onlyLoud: Bool
  let gridSize: Int
  let duo: Bool
  let weighsFit: Bool
  let searchScheme: String?

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws {
    scales = try options.flag("scale")
    clips = try options.flag("clip")
    onlyLoud = try options.choice("sites", of: ["all", "loud"]) == "loud"
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

  /// With an explicit search scheme, layers that stay unquantized are scaled too.
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
        consumers.append(
          ScaleSearch.Consumer(
            layer: layer, matrix: onlyLoud ? matrix.sample(ofRows: ScaleSearch.sampledRows, together: scheme.grid.tileRows ?? 1) : matrix,
            scheme: scheme))
      }
      guard !consumers.isEmpty else { continue }
      let search = ScaleSearch(
        consumers: consumers, statistics: statistics, fold: fold, gridSize: gridSize, duo: duo, weighsFit: weighsFit, onlyLoud: onlyLoud,
        block: block.index, rounderBehind: block.rounderBehind, parallel: block.parallel)
      let best = try search.run()
      if let scales = best.scales { block.apply(fold, scales: scales) }
      if best.scales != nil || !onlyLoud { notes.append("block \(block.index) \(fold.site.name): \(best.description)") }
    }
    return notes
  }

  public func rounder(for task: RoundingTask) throws -> (any Rounder)? {
    guard let statistics = task.statistics, !statistics.gram.isEmpty, task.scheme.grid.kind != .float else { return nil }
    let importance = weighsFit ? statistics.importance : nil
    // If rows share a scale, a single row cannot be clipped. Clipping queries and keys changes attention scores far more
    // than their own error suggests.
    let role = task.id?.role
    if clips, task.scheme.grid.tileRows == 1, role != .query, role != .key {
      return ClipRounder(scheme: task.scheme, statistics: statistics.withoutSilence, importance: importance)
    }
    // Only the rules of block layouts use importance.
    guard let importance, task.scheme.grid.kind == .block else { return nil }
    return WeightedRounder(scheme: task.scheme, importance: importance)
  }
}

/// The scheme's own rule, with weighted columns.
struct WeightedRounder: Rounder {
  let scheme: any Scheme
  /// Nil: all columns have the same weight.
  let importance: [Float]?

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: importance, into: &result)
  }
}

extension SiteStatistics {
  /// What an error in a channel weighs: its mean square relative to the mean of all, which keeps the arithmetic far from overflow.
  var importance: [Float]? {
    let diagonal = (0..<channels).map { gram[$0 * channels + $0] }
    let mean = Float(diagonal.reduce(0.0) { $0 + Double($1) } / Double(max(1, channels)))
    guard mean > 0, mean.isFinite else { return nil }
    // A channel that was dead on the calibration text may be active on other text.
    return diagonal.map { max($0 / mean, 1e-6) }
  }

  /// With dead channels set to the mean: they may be active on other text, so an error in them must not be free.
  var withoutSilence: SiteStatistics {
    let silent = (0..<channels).filter { gram[$0 * channels + $0] == 0 }
    guard !silent.isEmpty else { return self }
    var result = self
    let sum = (0..<channels).reduce(0.0) { $0 + Double(gram[$1 * channels + $1]) }
    for c in silent { result.gram[c * channels + c] = Float(sum / Double(channels)) }
    return result
  }
}
