import Glibc
import QuantCore
import Testing

@testable import QuantEngine
@testable import QuantModel

/// Parts that read embeddings of blocks, sums of parts, and what flows from block to block besides hidden states.
@Suite struct EmbeddingPartTests {
  @Test func aGateMultipliesTheEmbeddingOfABlock() throws {
    let part = EmbeddingGate(width: 6, innerSize: 4, activation: .gelu)
    var random = TestRandom(seed: 2)
    let input = random.matrix(3, 6)
    let context = PartContext(SequenceRows(length: 3))
    context.fill(part)
    context.blockEmbedding = random.matrix(3, 4)
    let result = try #require(part.run(input, in: context))
    let gate = context.linear(Layer(.embeddingGate), input)
    let gated = zip(gate.values, context.blockEmbedding.values).map { (value: Float, own: Float) -> Float in
      let x = Double(value)
      let activated = x / 2 * (1 + erf(x / 2.0.squareRoot()))
      return Float(activated * Double(own))
    }
    let expected = context.linear(Layer(.embeddingGateOutput), Matrix(rows: 3, columns: 4, values: gated))
    #expect(relativeDifference(result.values, expected.values) < 1e-6)
    #expect(context.seen == [.embeddingGateInput, .embeddingGateOutput] && part.folds.isEmpty)
  }

  @Test func partsBesideEachOtherAreAdded() throws {
    let norm = Norm(.feedForwardNorm, .rootMeanSquare, epsilon: 0)
    let dense = FeedForward(width: 6, innerSize: 5, activation: .silu)
    let gate = EmbeddingGate(width: 6, innerSize: 4, activation: .silu)
    let sum = BranchSum(width: 6, Branch(norm: norm, dense), Branch(norm: nil, gate, scale: 2))
    var random = TestRandom(seed: 3)
    let input = random.matrix(3, 6)
    let context = PartContext(SequenceRows(length: 3))
    context.fill(sum)
    context.blockEmbedding = random.matrix(3, 4)
    let result = try #require(sum.run(input, in: context))
    let parts = (try #require(dense.run(input, in: context)), try #require(gate.run(input, in: context)))
    #expect(
      relativeDifference(result.values, zip(parts.0.values, parts.1.values).map { (a: Float, b: Float) -> Float in a + 2 * b }) < 1e-6)
    #expect(sum.tensors.map(\.role) == [.feedForwardNorm, .gate, .up, .down, .embeddingGate, .embeddingGateOutput])
    // The norm of one branch can be scaled, and the channels between its matrices.
    #expect(sum.folds.map(\.producer) == [.norm(.feedForwardNorm), .rows(.up)] && sum.inputSites.isEmpty)
  }

  @Test func carriedColumnsAreSplitOffAndJoined() throws {
    let attention = {
      var attention = Attention(width: 2, headCount: 1, keyValueHeadCount: 1, headSize: 2)
      attention.sharing = .gives("all")
      return attention
    }()
    let model = ModelDescription(
      family: "test", hiddenSize: 2, vocabularySize: 0, contextLength: 0, embedding: EmbeddingDescription(width: 2),
      blocks: [BlockDescription([Branch(norm: nil, attention)])], head: HeadDescription(norm: nil, isTied: true), tensors: [])
    #expect(model.stateWidth == 6)
    let keys = try #require(model.carried.first)
    let flowing = Matrix(rows: 2, columns: 6, values: (0..<12).map { Float($0) })
    var hidden = flowing
    var columns = try #require(CarriedColumns(of: model, splitFrom: &hidden))
    #expect(hidden.values == [0, 1, 6, 7] && columns[keys, 1..<2].values == [8, 9])
    columns.set(keys, 1..<2, Matrix(rows: 1, columns: 2, values: [20, 21]))
    columns.join(to: &hidden)
    #expect(hidden.values == [0, 1, 2, 3, 4, 5, 6, 7, 20, 21, 10, 11])
  }
}
