public import QuantCore

/// Moves outliers of activations into the weights: every channel after a norm is divided by
/// `s = max|x|^α / max|w|^(1−α)`, and the columns of all layers that read it are multiplied by `s`.
///
/// A channel whose activations are a hundred times larger than those of its neighbours uses nearly all levels of an 8-bit
/// scale that all channels of a token share. The weights of this channel are small and can take part of its magnitude. The
/// norm is divided by `s`, so the block computes the same. With `alpha=auto`, alpha is searched for each norm: the winner is
/// the candidate whose rounded inputs and weights give outputs nearest to the exact ones on tokens of the calibration text.
///
/// The traps: *every* layer that reads the norm must be scaled, routers and all experts included (the graph lists
/// them); and producers other than norms are left alone, because outliers after a gate are in other channels for each token.
///
/// Source: Xiao et al., *SmoothQuant: Accurate and Efficient Post-Training Quantization for Large Language Models*
/// (arXiv 2211.10438), §4.
public struct SmoothQuant: QuantizationMethod {
  public static let id = "smoothquant"
  public static let summary = "Scales channels after norms so that activations with outliers can be rounded to 8 bits."
  public static let reference = "arXiv 2211.10438"
  public static let requirements: Set<Statistic> = [.range]
  public static let options = [
    OptionDeclaration(
      name: "alpha", summary: "move this share of the outliers into the weights, 0 to 1; auto: search per norm",
      defaultValue: "0.5")
  ]

  /// Nil: searched for.
  let alpha: Double?

  /// - Throws: `Failure` if an option's value is out of range.
  public init(_ options: OptionValues) throws {
    alpha = options.string("alpha") == "auto" ? nil : try options.number("alpha", in: 0...1)
  }

  public var stages: Set<MethodStage> { [.transform] }

  /// Tokens themselves are needed only if alpha is searched for.
  public var statistics: Set<Statistic> { alpha == nil ? [.range, .sample] : [.range] }

  public func obstacle(in model: ModelDescription) -> String? {
    let hasNorm = model.blocks.contains { $0.graph.folds.contains { if case .norm = $0.producer { true } else { false } } }
    return hasNorm ? nil : "none of its norms feeds only linear layers, so that no channel can be scaled"
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
