/// Rounds to nearest if a calibrated method has no statistics to use, and says so.
struct UncalibratedRounder: Rounder {
  let scheme: any Scheme
  let expert: Int?
  /// How much errors in the columns weigh, if importance was given.
  let importance: [Float]?

  var reason: String {
    if expert != nil {
      return "no calibration token reached this expert, or too few reached all experts together; rounded to nearest instead (a longer "
        + "text helps)"
    }
    return "no calibration token reached this layer; rounded to nearest instead"
  }

  var record: RoundingRecord { RoundingRecord(fallback: reason) }

  func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
    scheme.encode(panel, importance: importance, into: &result)
  }
}
