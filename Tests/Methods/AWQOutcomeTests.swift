import Testing

@testable import AWQ

@Test func anOutcomeIsDescribedWhateverRoundingMadeOfItsErrors() {
  for (ratio, percent) in [(0.25, 25), (-1e30, 0), (1e30, 100), (.nan, 0), (-.infinity, 0)] as [(Double, Int)] {
    let outcome = ScaleSearch.Outcome(scales: [1], alpha: 0.5, isDuo: false, ratio: ratio)
    #expect(outcome.description == "alpha 0.5, error \(percent) % of plain rounding")
  }
}
