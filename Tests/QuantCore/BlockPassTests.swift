import QuantCore
import Testing

@testable import QuantEngine
@testable import QuantModel

/// A part that multiplies its input; if it mixes tokens, it adds to each token the sum of those before it.
private struct Times: Part {
  var factor: Float
  var mixesTokens = false
  var tensors: [PartTensor] { [] }
  var linears: [(layer: Layer, input: Site)] { [(.up, .feedForwardInput)] }
  var inputSites: [Site] { [.feedForwardInput] }

  func run(_ input: Matrix, in context: any BlockContext) -> Matrix? {
    var result = input
    for row in 0..<input.rows {
      let start = mixesTokens ? row - context.sequences.position(row) + context.sequences.first : row
      for c in 0..<input.columns { result[row, c] = factor * (max(0, start)...row).reduce(0) { $0 + input[$1, c] } }
    }
    return result
  }
}

/// How hidden states pass through the branches of a block.
@Suite struct BlockPassTests {
  private let norm = Norm(.attentionNorm, .rootMeanSquare, epsilon: 0)

  private func run(_ branches: [Branch], _ hidden: [Float], columns: Int = 1, length: Int = 1) -> [Float] {
    var matrix = Matrix(rows: hidden.count / columns, columns: columns, values: hidden)
    let description = BlockDescription(branches)
    let model = ModelDescription(
      family: "test", hiddenSize: columns, vocabularySize: 0, contextLength: 0, embedding: EmbeddingDescription(width: columns),
      blocks: [description], head: HeadDescription(norm: nil, isTied: true), tensors: [])
    let gain = [Float](repeating: 2, count: columns)
    let workspace = BlockWorkspace(
      index: 0, model: model, matrices: [:], vectors: [TensorID(.attentionNorm, block: 0): gain], statistics: [:])
    BlockPass(workspace, parallel: Parallel(threads: 1)).run(&matrix, SequenceRows(length: length), group: length)
    return matrix.values
  }

  @Test func branchesFollowEachOther() {
    // 1 + 2·1 = 3, then 3 + 10·3.
    #expect(run([Branch(norm: nil, Times(factor: 2)), Branch(norm: nil, Times(factor: 10))], [1]) == [33])
  }

  @Test func parallelBranchesReadTheSame() {
    // 1 + 2·1 + 10·1, then ten times that is added.
    let branches = [
      Branch(norm: nil, Times(factor: 2)), Branch(norm: nil, Times(factor: 10), readsWithPrevious: true),
      Branch(norm: nil, Times(factor: 10)),
    ]
    #expect(run(branches, [1]) == [143])
  }

  @Test func normsAreAppliedWhereABranchHasThem() {
    // The root of the mean square of (3, 4) is √12.5, and gains are 2.
    let root = Float(12.5).squareRoot()
    func close(_ a: [Float], _ b: [Float]) -> Bool { zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 } }
    #expect(close(run([Branch(norm: norm, Times(factor: 1))], [3, 4], columns: 2), [3 + 6 / root, 4 + 8 / root]))
    #expect(close(run([Branch(norm: nil, Times(factor: 5), outputNorm: norm)], [3, 4], columns: 2), [3 + 6 / root, 4 + 8 / root]))
    #expect(close(run([Branch(norm: nil, Times(factor: 5), sumNorm: norm)], [3, 4], columns: 2), [6 / root, 8 / root]))
    #expect(close(run([Branch(norm: norm, Times(factor: 1), residual: .normed)], [3, 4], columns: 2), [12 / root, 16 / root]))
    #expect(close(run([Branch(norm: nil, Times(factor: 4), scale: 0.5)], [3, 4], columns: 2), [9, 12]))
    #expect(close(run([Branch(norm: nil, Times(factor: 4), sumFactor: 0.5)], [3, 4], columns: 2), [7.5, 10]))
    #expect(close(run([Branch(norm: nil, Times(factor: 4), residual: .nothing)], [3, 4], columns: 2), [12, 16]))
    // The gains of the test, of which the first is the factor.
    #expect(close(run([Branch(norm: nil, Times(factor: 4), sumScale: .attentionNorm)], [3, 4], columns: 2), [30, 40]))
  }

  @Test func sequencesThatAreMixedRunWhole() {
    // More tokens than a chunk; every token sums those of its own sequence.
    let hidden = [Float](repeating: 1, count: 3 * BlockPass.chunkTokens)
    let result = run([Branch(norm: nil, Times(factor: 1, mixesTokens: true))], hidden, length: BlockPass.chunkTokens)
    #expect(result[0] == 2 && result[BlockPass.chunkTokens - 1] == Float(BlockPass.chunkTokens) + 1)
    #expect(result[BlockPass.chunkTokens] == 2 && result.last == result[BlockPass.chunkTokens - 1])
  }

  @Test func aNormCanBeScaledWhereLinearLayersAloneReadIt() {
    func folds(_ branches: [Branch]) -> [Fold] { BlockDescription(branches).graph.folds }
    let single = folds([Branch(norm: norm, Times(factor: 1))])
    #expect(single.map(\.producer) == [.norm(.attentionNorm)] && single[0].sites == [.feedForwardInput])
    #expect(folds([Branch(norm: nil, Times(factor: 1), sumNorm: norm)]).isEmpty)
    #expect(folds([Branch(norm: norm, Times(factor: 1), residual: .normed)]).isEmpty)
    // One norm before both branches feeds the sites of both.
    let feedForward = FeedForward(width: 4, innerSize: 4, activation: .gelu, isGated: false)
    let attention = Attention(width: 4, headCount: 1, keyValueHeadCount: 1, headSize: 4)
    let shared = folds([Branch(norm: norm, attention), Branch(norm: norm, feedForward, readsWithPrevious: true)])
    #expect(shared.first?.sites == [.attentionInput, .feedForwardInput] && shared.count == 2)
  }

  @Test func equalPartsMakeEqualBlocks() {
    let attention = Attention(width: 4, headCount: 1, keyValueHeadCount: 1, headSize: 4)
    var windowed = attention
    windowed.window = 3
    #expect(BlockDescription([Branch(norm: norm, attention)]) == BlockDescription([Branch(norm: norm, attention)]))
    #expect(BlockDescription([Branch(norm: norm, attention)]) != BlockDescription([Branch(norm: norm, windowed)]))
    #expect(BlockDescription([Branch(norm: norm, attention)]) != BlockDescription([Branch(norm: nil, attention)]))
  }
}
