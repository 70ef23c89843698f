import QuantCore

/// Rounds rows with error feedback. Given the factor, rows are independent of each other.
///
/// The weights of a panel are held by column in the visiting order, so that every step is a loop over contiguous rows.
struct FeedbackRounder: Rounder {
  let scheme: any Scheme
  let order: VisitingOrder
  let factor: InverseFactor
  /// The metric of every run of columns that are rounded together; empty: columns are rounded alone.
  let metrics: [[Float]]
  /// The float type to which clients round values, or nil.
  let valueType: ElementType?
  /// The importance of each column for the fit of parameters, or nil.
  let importance: [Float]?
  /// Corrects the weights before they are rounded, or nil.
  let correction: TargetCorrection?
  let requestedDamp: Double
  /// The Gram matrix, if codes and parameters are improved after the pass.
  let gram: DampedGram?
  /// How often they are.
  let refinements: Int
  /// Whether rows are scaled afterwards, so that their outputs are not smaller than those of the weights.
  let rescales: Bool

  var record: RoundingRecord {
    RoundingRecord(
      damping: factor.damp,
      fallback: factor.damp == requestedDamp
        ? nil : "the inputs' Gram matrix needed damp=\(factor.damp) instead of \(requestedDamp) to be factored")
  }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    guard panel.rows > 0, panel.columns == order.columns.count else {
      scheme.encode(panel, importance: nil, into: &result)
      return
    }
    if let correction {
      correction.applied(to: panel).withPanel { roundCorrected($0, into: &result) }
    } else {
      roundCorrected(panel, into: &result)
    }
  }

  private func roundCorrected(_ panel: Panel, into result: inout QuantizedPanel) {
    if order.kind == .static { scheme.fit(panel, importance: importance, into: &result) }
    var pass = FeedbackPass(self, panel: panel, fitted: result)
    for batch in order.batches { pass.round(batch) }
    if let gram {
      var refinement = Refinement(scheme: scheme, gram: gram, panel: panel, valueType: valueType, tiles: pass.tiles)
      for _ in 0..<refinements { refinement.improve(&pass.tiles) }
      if rescales { refinement.rescale(&pass.tiles) }
    }
    pass.store(into: &result)
  }
}
