import QuantCore
import TestSupport
import Testing

/// The split of LLM.int8() against bitsandbytes (Interop/make_split_fixtures.py).
@Suite struct OutlierSplitTests {
  private func fixture() throws -> [String: CheckpointTensor] {
    Dictionary(
      try Fixture.tensors(SharedData.fixture("engine/split.safetensors")).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  }

  @Test(arguments: ["6.0", "2.5"], [1, 3]) func valuesAndColumnsAreThoseOfBitsAndBytes(_ threshold: String, _ threads: Int) throws {
    let fixture = try fixture()
    var values = try #require(fixture["values"]).matrix()
    let split = OutlierSplit(threshold: try #require(Float(threshold)))
    values.round(with: split, parallel: Parallel(threads: threads))
    #expect(values.values == (try #require(fixture[threshold]).matrix().values))
    #expect(split.kept.indices == (try Fixture.integers(fixture[threshold + ".columns"])) && split.kept.count == 96)
  }

  @Test func columnsOfAllBatchesAreKept() throws {
    let split = OutlierSplit(threshold: 6)
    for column in [3, 1] {
      var values = Matrix(rows: 2, columns: 4, values: [0, 0, 0, 0, 1, 1, 1, 1])
      values.values[column] = 6
      values.round(with: split, parallel: Parallel(threads: 1))
    }
    #expect(split.kept.indices == [1, 3])
  }

  @Test func requestsNameTheThreshold() throws {
    let registry = try Registry([WeightPresets.self, IntegerSchemes.self])
    func inputs(_ text: String) throws -> SimulationRequest.Inputs? { try SimulationRequest(text, registry: registry).inputs }
    #expect(try inputs("llm-int8") == .split(threshold: 6) && inputs("llm-int8:4.5") == .split(threshold: 4.5))
    for bad in ["llm-int8:", "llm-int8:0", "llm-int8:-1", "llm-int8:x", "llm-int8:inf"] {
      #expect(throws: Failure.self, "\(bad)") { try inputs(bad) }
    }
  }
}
