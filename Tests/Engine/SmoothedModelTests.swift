import QuantCore
import SmoothQuant
import TestSupport
import Testing

/// SmoothQuant on whole models: what it changes cancels out.
@Suite struct SmoothedModelTests {
  @Test(arguments: FamilyTests.names, ["0.5", "0.9", "auto"]) func logitsStayWhereNothingIsRounded(_ name: String, _ alpha: String) throws {
    let engine = try Fixture.engine(try Fixture.folder(SharedData.fixture("engine/" + name)))
    let method = try SmoothQuant(OptionValues(["alpha": alpha], declarations: SmoothQuant.options, plugin: SmoothQuant.id))
    // Norms behind the layers, or in the way of the residual, cannot absorb scales.
    guard !["opt-post-norm", "bloom-residual"].contains(name) else {
      #expect(method.obstacle(in: engine.model) != nil)
      return
    }
    #expect(method.obstacle(in: engine.model) == nil)
    let tokens = (0..<80).map { ($0 * 37 + 5) % 96 }
    let expected = try engine.allLogits(tokens, sequenceLength: 40)
    var hidden = try engine.embed(tokens, sequenceLength: 40)
    var smoothed = hidden
    for index in 0..<engine.model.parameters.blockCount {
      let before = engine.loadBlock(index)
      var block = before
      block.schemeNamed = { _ in try #require(IntegerSchemes.scheme(named: "int8-channel", modelType: .f32)) }
      let collector = StatisticsCollector(method.statistics, parallel: engine.parallel)
      engine.runBlock(before, hidden: &hidden, sequenceLength: 40, observer: collector)
      block.statistics = collector.statistics()
      let notes = try method.transform(&block)
      #expect(!notes.isEmpty)
      if alpha != "auto" { #expect(block.vectors != before.vectors, "a fold changes the norms") }
      engine.runBlock(block, hidden: &smoothed, sequenceLength: 40)
    }
    #expect(relativeDifference(engine.logits(smoothed).values, expected.values) < 1e-4)
  }
}
