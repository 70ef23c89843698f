public import QuantCore

/// Moves the difficulty of rounding activations into the weights: every channel behind a norm is divided by
/// `s = max|x|^α / max|w|^(1−α)`, and the columns of all layers that read it are multiplied by `s`.
///
/// A channel whose activations are a hundred times larger than those of its neighbours takes nearly all steps of an 8-bit
/// scale that a token's channels share. Weights are small there and can carry part of it. The norm absorbs `1/s`, so the
/// block computes the same. With `alpha=auto`, the share is searched for each norm: the candidate wins whose rounded
/// inputs and rounded weights give outputs nearest to the exact ones on tokens of the calibration text.
///
/// Where people fall: *every* layer that reads the norm must be scaled, routers and all experts included (the graph lists
/// them), and other producers than norms are left alone, because an outlier behind a gate is another one at each token.
///
/// Source: Xiao et al., *SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models*
/// (arXiv 2211.10438), §4.
public struct SmoothQuant: QuantizationMethod {
  public static let id = "smoothquant"
  public static let summary = "Scales channels behind norms so that activations with outliers can be rounded to 8 bits."
  public static let reference = "arXiv 2211.10438"
  public static let requirements: Set<Statistic> = [.range]
  public static let options = [
    OptionDeclaration(
      name: "alpha", summary: "share of the difficulty that moves into the weights, 0 to 1; auto: searched for each norm",
      defaultValue: "0.5")
  ]

  /// Nil: searched.
  let alpha: Double?

  /// - Throws: `Failure` where an option's value is out of range.
  public init(_ options: OptionValues) throws {
    alpha = options.string("alpha") == "auto" ? nil : try options.number("alpha", in: 0...1)
  }

  public var stages: Set<MethodStage> { [.transform] }

  /// Tokens themselves are looked at only where the share is searched.
  public var statistics: Set<Statistic> { alpha == nil ? [.range, .sample] : [.range] }

  public func obstacle(in model: ModelDescription) -> String? {
    let hasNorm = model.blocks.contains { $0.graph.folds.contains { if case .norm = $0.producer { true } else { false } } }
    return hasNorm ? nil : "no norm of its blocks feeds linear layers alone, so that none can absorb a scale"
  }

  public func transform(_ block: inout BlockWorkspace) throws -> [String] {
    var notes: [String] = []
    for fold in block.graph.folds {
      guard case .norm = fold.producer, let magnitudes = ChannelMagnitudes(fold, block) else { continue }
      let place = "block \(block.index) \(fold.site.name): "
      let consumers = alpha == nil ? try AlphaSearch.consumers(fold, block) : []
      let search = AlphaSearch(magnitudes: magnitudes, consumers: consumers, parallel: block.parallel)
      let outcome = alpha.map { AlphaSearch.Outcome(alpha: $0, ratio: nil) } ?? search.run()
      guard let alpha = outcome.alpha else {
        notes.append(place + "no scaling beats plain rounding")
        continue
      }
      let scales = magnitudes.scales(alpha: alpha)
      let error = outcome.ratio.map { ", error \((min(1, $0) * 1000).rounded() / 10) % of plain rounding" } ?? ""
      let (before, after) = (magnitudes.spread(), magnitudes.spread(dividedBy: scales))
      notes.append(place + "alpha \(alpha)\(error), largest channel \(before) times the median one, now \(after)")
      block.apply(fold, scales: scales)
    }
    return notes
  }
}
