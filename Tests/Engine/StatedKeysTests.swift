import FamilyKit
import QuantCore
import Testing

/// What a GGUF and a `config.json` say of a model.
@Suite struct StatedKeysTests {
  private let numbers: DecoderNumbers = {
    var numbers = DecoderNumbers()
    (numbers.hiddenSize, numbers.headCount, numbers.keyValueHeadCount, numbers.headSize) = (320, 4, 4, 80)
    return numbers
  }()

  private func rope(_ dimension: Int) -> Rope {
    var rope = Rope()
    rope.dimension = dimension
    return rope
  }

  @Test func aPartOfAHeadThatIsRotatedIsStated() {
    var stored = GGUFKeys("made")
    stored.setCommon(numbers, rope: rope(32), statesHeadSize: false)
    #expect(stored.configuration.keyValues?["made.rope.dimension_count"] == .u32(32))
    var whole = GGUFKeys("made")
    whole.setCommon(numbers, rope: rope(80), statesHeadSize: false)
    #expect(whole.configuration.keyValues?["made.rope.dimension_count"] == nil)
  }

  @Test func aKeyThatWasSetBeforeKeepsItsPlace() {
    var stored = GGUFKeys("made")
    stored.set("context_length", 7)
    stored.setCommon(numbers, rope: nil, statesHeadSize: false)
    let keys = stored.configuration.keyValues?.entries.map(\.key) ?? []
    #expect(keys.prefix(3) == ["general.architecture", "made.context_length", "made.block_count"])
    #expect(stored.configuration.keyValues?["made.context_length"] == .u32(0))
  }

  /// Clients truncate the product of the factor and the head size.
  @Test func theStatedPartGivesTheSameDimension() throws {
    for headSize in [64, 80, 96, 128] {
      for dimension in stride(from: 2, to: headSize, by: 2) {
        var numbers = numbers
        numbers.headSize = headSize
        var stated = HuggingFaceKeys("MadeForCausalLM", modelType: "made")
        let isStated = stated.setCommon(numbers, rope: rope(dimension), statesHeadSize: true)
        #expect(isStated)
        let part = try #require(stated.configuration.json?["partial_rotary_factor"]?.doubleValue)
        #expect(Int(Double(headSize) * part) == dimension)
      }
    }
    var whole = HuggingFaceKeys("MadeForCausalLM", modelType: "made")
    _ = whole.setCommon(numbers, rope: rope(80), statesHeadSize: true)
    #expect(whole.configuration.json?["head_dim"] == .int(80) && whole.configuration.json?["partial_rotary_factor"] == nil)
  }
}
