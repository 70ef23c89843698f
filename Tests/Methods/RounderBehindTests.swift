import AWQ
import GPTQ
import QuantCore
import Synchronization
import Testing

/// A method that scales before another one rounds scores its candidates by the other's rounding.
@Suite struct RounderBehindTests {
  private func awq(_ options: [String: String] = [:]) throws -> AWQ {
    try AWQ(OptionValues(options, declarations: AWQ.options, plugin: AWQ.id))
  }

  /// Rounds everything to zero, so that no scaling is better than another.
  private struct Eraser: Rounder {
    let scheme: any Scheme
    func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) {
      Matrix(rows: panel.rows, columns: panel.columns).withPanel { scheme.encode($0, importance: nil, into: &result) }
    }
  }

  /// The scheme's own rule.
  private struct Plain: Rounder {
    let scheme: any Scheme
    func round(_ panel: Panel, rows: [Int], into result: inout QuantizedPanel) { scheme.encode(panel, importance: nil, into: &result) }
  }

  @Test func candidatesAreScoredByTheLaterRounding() throws {
    var block = tinyWorkspace()
    let before = block
    block.rounderBehind = { Eraser(scheme: $0.scheme) }
    let notes = try awq().transform(&block)
    // Rounding errors in the score itself may make a scaling look very slightly better; its error is then shown as 100 %.
    #expect(notes.count == block.graph.folds.count)
    #expect(notes.allSatisfy { $0.contains("no scaling") || $0.contains("error 100 %") }, "\(notes)")
    var plain = before
    let found = try awq().transform(&plain)
    #expect(!found.contains { $0.contains("error 100 %") || $0.contains("no scaling") }, "\(found)")
  }

  @Test func tasksHoldTheScaledLayerAndItsStatistics() throws {
    var block = tinyWorkspace()
    let statistics = block.statistics
    let seen = Mutex<[RoundingTask]>([])
    block.rounderBehind = { task in
      seen.withLock { $0.append(task) }
      return Plain(scheme: task.scheme)
    }
    _ = try awq(["grid": "8", "duo": "off"]).transform(&block)
    let tasks = seen.withLock { $0 }
    #expect(Set(tasks.compactMap { $0.id?.layer }) == Set(block.matrices.keys))
    #expect(tasks.allSatisfy { $0.id?.block == 0 && $0.scheme.name == "int4-g16" && $0.statistics?.gram.isEmpty == false })
    // The first task has no scales. A quarter of the grid follows: alpha 0 and 0.5, of which only 0.5 scales the statistics.
    let queries = tasks.filter { $0.id?.layer == .query }.compactMap { $0.statistics?.gram }
    let plain = try #require(statistics[.attentionInput]?.gram)
    #expect(queries.first == plain && Set(queries).count == 2, "\(queries.count)")
    let scaled = try #require(queries.last)
    let scales = (0..<16).map { (plain[$0 * 16 + $0] / scaled[$0 * 16 + $0]).squareRoot() }
    #expect(Set(scales).count > 1)
    for i in 0..<16 {
      for j in 0..<16 { #expect(abs(scaled[i * 16 + j] * scales[i] * scales[j] - plain[i * 16 + j]) < 1e-3 * abs(plain[i * 16 + i])) }
    }
  }

  @Test func aFailureOfTheLaterRounderIsThatOfTheTransform() {
    var block = tinyWorkspace()
    block.rounderBehind = { throw Failure(.unsupported, "test.behind", $0.name) }
    let failure = #expect(throws: Failure.self) { try awq().transform(&block) }
    #expect(failure?.id == "test.behind")
  }

  /// Tiny models hide the effect, so the score itself is tested: with feedback, the error of the scaled layers is smaller than that
  /// of the original layers.
  @Test func scalesBeforeFeedbackLowerTheErrorOfFeedback() throws {
    let gptq = try GPTQ(OptionValues([:], declarations: GPTQ.options, plugin: GPTQ.id))
    var block = tinyWorkspace()
    let before = block
    block.rounderBehind = { try gptq.rounder(for: $0) }
    _ = try awq().transform(&block)
    for site in before.graph.sites {
      let (old, new) = (try error(before, site, gptq), try error(block, site, gptq))
      #expect(new <= old * 1.0001, "\(site.name): \(new) against \(old)")
    }
  }

  /// `Σ tr(ΔW·H·ΔWᵀ)` over the layers that read a site.
  private func error(_ block: BlockWorkspace, _ site: Site, _ method: GPTQ) throws -> Double {
    let statistics = try #require(block.statistics[site])
    var total = 0.0
    for layer in block.graph.consumers(of: site) {
      let matrix = try #require(block.matrices[layer]), scheme = try #require(block.schemes[layer])
      let rounder = try #require(
        try method.rounder(for: RoundingTask(id: TensorID(layer, block: 0), name: "", scheme: scheme, statistics: statistics)))
      var quantized = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
      matrix.withPanel { rounder.round($0, rows: Array(0..<matrix.rows), into: &quantized) }
      let values = scheme.values(quantized), columns = matrix.columns
      for row in 0..<matrix.rows {
        let delta = (0..<columns).map { Double(values[row * columns + $0] - matrix[row, $0]) }
        for i in 0..<columns {
          for j in 0..<columns { total += delta[i] * Double(statistics.gram[i * columns + j]) * delta[j] }
        }
      }
    }
    return total
  }
}
