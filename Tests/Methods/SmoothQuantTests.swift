import QuantCore
import SmoothQuant
import TestSupport
import Testing

@Suite struct SmoothQuantTests {
  private func method(_ alpha: String? = nil) throws -> SmoothQuant {
    try SmoothQuant(OptionValues(alpha.map { ["alpha": $0] } ?? [:], declarations: SmoothQuant.options, plugin: SmoothQuant.id))
  }

  /// Tokens `[count, channels]` with two outlier channels.
  private func tokens(_ count: Int, _ channels: Int, seed: UInt64 = 5) -> Matrix {
    var random = SystemlessRandom(seed: seed)
    return Matrix(
      rows: count, columns: channels,
      values: (0..<count * channels).map { random.normal() * ($0 % channels == 3 || $0 % channels == 5 ? 60 : 1) })
  }

  /// A block whose sites after norms were observed on tokens.
  private func workspace(_ inputs: Matrix, threads: Int = 1, scheme: (any Scheme)? = IntegerScheme.named("int8-channel")) -> BlockWorkspace
  {
    var block = tinyWorkspace(threads: threads, scheme: scheme)
    let collector = StatisticsCollector([.range, .sample], parallel: Parallel(threads: 1))
    inputs.withPanel {
      collector.observe(.attentionInput, $0)
      collector.observe(.feedForwardInput, $0)
    }
    block.statistics = collector.statistics()
    return block
  }

  /// `max|x|^α / max|w|^(1−α)` in double precision would need powers; α = 1/2 needs only square roots.
  @Test func scalesAreThoseOfThePaper() throws {
    let inputs = tokens(40, 16)
    let before = workspace(inputs)
    var after = before
    _ = try method().transform(&after)
    let gain = try #require(before.vectors[TensorID(.attentionNorm, block: 0)])
    let smoothed = try #require(after.vectors[TensorID(.attentionNorm, block: 0)])
    for c in 0..<16 {
      let largest = (0..<inputs.rows).reduce(Float(0)) { max($0, abs(inputs[$1, c])) }
      var weight: Float = 0
      for layer in [Layer.query, .key, .value] {
        let matrix = try #require(before.matrices[layer])
        for row in 0..<matrix.rows { weight = max(weight, abs(matrix[row, c])) }
      }
      #expect(abs(smoothed[c] * (largest / weight).squareRoot() / gain[c] - 1) < 1e-6)
    }
  }

  @Test(arguments: ["0", "0.5", "1", "auto"]) func normAndConsumersTogetherComputeTheSame(_ alpha: String) throws {
    let before = workspace(tokens(40, 16))
    var after = before
    _ = try method(alpha).transform(&after)
    for (role, layers) in [(TensorRole.attentionNorm, [Layer.query, .key, .value]), (.feedForwardNorm, [.gate, .up])] {
      let gain = try #require(before.vectors[TensorID(role, block: 0)])
      let smoothed = try #require(after.vectors[TensorID(role, block: 0)])
      for layer in layers {
        let old = try #require(before.matrices[layer]), new = try #require(after.matrices[layer])
        for row in 0..<old.rows {
          for c in 0..<16 { #expect(abs(old[row, c] * gain[c] - new[row, c] * smoothed[c]) < 1e-5) }
        }
      }
    }
  }

  @Test func onlyNormsAreFolded() throws {
    let before = workspace(tokens(40, 16))
    var after = before
    _ = try method().transform(&after)
    for layer in [Layer.attentionOutput, .down] { #expect(after.matrices[layer] == before.matrices[layer]) }
    let bias = TensorID(.value, block: 0, isBias: true)
    #expect(after.vectors[bias] == before.vectors[bias])
  }

  /// A router and two experts after one norm: all get the same scales, from the largest weights of all.
  @Test func routersAndExpertsAreScaledTogether() throws {
    var random = SystemlessRandom(seed: 3)
    func matrix(_ rows: Int) -> Matrix { Matrix(rows: rows, columns: 8, values: (0..<rows * 8).map { _ in random.normal() }) }
    let layers = [Layer(.gate), Layer(.up, expert: 0), Layer(.up, expert: 1)]
    let part = GraphPart(
      [(layers[0], .feedForwardInput), (layers[1], .expertInput(0)), (layers[2], .expertInput(1))],
      inputSites: [.feedForwardInput, .expertInput(0), .expertInput(1)])
    let branch = Branch(norm: Norm(.feedForwardNorm, .rootMeanSquare, epsilon: 1e-5), part)
    let model = ModelDescription.of([BlockDescription([branch])])
    let norm = TensorID(.feedForwardNorm, block: 0)
    let inputs = tokens(60, 8)
    let collector = StatisticsCollector([.range, .sample], parallel: Parallel(threads: 1))
    inputs.withPanel { collector.observe(.feedForwardInput, $0) }
    inputs.withPanel(rows: 0..<20) { collector.observe(.expertInput(0), $0) }
    // No token reached the second expert.
    var block = BlockWorkspace(
      index: 0, model: model, matrices: [layers[0]: matrix(2), layers[1]: matrix(6), layers[2]: matrix(6)],
      vectors: [norm: [Float](repeating: 1, count: 8)], statistics: collector.statistics()
    ) { _ in try #require(IntegerScheme.named("int8-channel")) }
    for alpha in ["0.5", "auto"] {
      let before = block
      let notes = try method(alpha).transform(&block)
      #expect(notes.count == 1)
      let factors = zip(try #require(before.vectors[norm]), try #require(block.vectors[norm])).map { $0 / $1 }
      for layer in layers {
        let old = try #require(before.matrices[layer]), new = try #require(block.matrices[layer])
        for row in 0..<old.rows {
          for c in 0..<8 { #expect(abs(new[row, c] - old[row, c] * factors[c]) <= abs(new[row, c]) * 1e-6) }
        }
      }
    }
  }

  @Test(arguments: ["0.5", "auto"]) func deadChannelsKeepTheirScale(_ alpha: String) throws {
    var inputs = tokens(40, 16)
    for row in 0..<inputs.rows { inputs[row, 7] = 0 }
    var block = workspace(inputs)
    for layer in [Layer.query, .key, .value] {
      for row in 0..<(block.matrices[layer]?.rows ?? 0) { block.matrices[layer]?[row, 9] = 0 }
    }
    let before = block
    _ = try method(alpha).transform(&block)
    let norm = TensorID(.attentionNorm, block: 0)
    #expect(block.vectors[norm]?[7] == before.vectors[norm]?[7])
    #expect(try #require(block.vectors[norm]).allSatisfy { $0.isFinite && $0 != 0 })
    #expect(block.matrices.values.allSatisfy { $0.values.allSatisfy { $0.isFinite } })
  }

  @Test func whatIsNotFiniteOrUnseenIsLeftAlone() throws {
    var inputs = tokens(40, 16)
    inputs[3, 3] = .infinity
    for before in [workspace(inputs), workspace(Matrix(rows: 0, columns: 16))] {
      var after = before
      #expect(try method().transform(&after).isEmpty)
      #expect(after.matrices == before.matrices && after.vectors == before.vectors)
    }
  }

  /// Squared error of a layer with 8-bit inputs per token and weights per row, by its definition.
  private func error(_ inputs: Matrix, _ weights: Matrix, exact: Matrix, _ exactWeights: Matrix) -> Double {
    func rounded(_ matrix: Matrix) -> Matrix {
      var result = matrix
      for row in 0..<matrix.rows {
        let largest = (0..<matrix.columns).reduce(Float(0)) { max($0, abs(matrix[row, $1])) }
        let scale = largest / 127.5
        for c in 0..<matrix.columns {
          result[row, c] = max(-128, min(127, (matrix[row, c] / scale).rounded(.toNearestOrEven))) * scale
        }
      }
      return result
    }
    let x = rounded(inputs), w = rounded(weights)
    var total = 0.0
    for token in 0..<x.rows {
      for row in 0..<w.rows {
        var difference = 0.0
        for c in 0..<x.columns { difference += Double(x[token, c] * w[row, c]) - Double(exact[token, c] * exactWeights[row, c]) }
        total += difference * difference
      }
    }
    return total
  }

  /// As in models with outlier channels: where activations are large, weights are small.
  @Test(arguments: ["0.5", "auto"]) func outlierChannelsSurvive8Bits(_ alpha: String) throws {
    let inputs = tokens(40, 16)
    var before = workspace(inputs)
    for layer in [Layer.query, .key, .value] {
      before.matrices[layer] = before.matrices[layer]?.scalingColumns(by: (0..<16).map { $0 == 3 || $0 == 5 ? 1 / 60 : 1 })
    }
    var after = before
    _ = try method(alpha).transform(&after)
    let sample = try #require(after.statistics[.attentionInput]?.sample)
    let smoothed = Matrix(rows: sample.count, columns: 16, values: sample.values)
    let old = try #require(before.matrices[.query]), new = try #require(after.matrices[.query])
    let plain = error(inputs, old, exact: inputs, old)
    #expect(error(smoothed, new, exact: inputs, old) < plain / 10)
  }

  @Test func theSearchIsNoWorseThanAnyFixedShare() throws {
    let inputs = tokens(40, 16)
    func total(_ alpha: String) throws -> Double {
      let before = workspace(inputs)
      var after = before
      _ = try method(alpha).transform(&after)
      let sample = try #require(after.statistics[.attentionInput]?.sample)
      let smoothed = Matrix(rows: sample.count, columns: 16, values: sample.values)
      return try [Layer.query, .key, .value].reduce(0) { sum, layer in
        let old = try #require(before.matrices[layer])
        return sum + error(smoothed, try #require(after.matrices[layer]), exact: inputs, old)
      }
    }
    let searched = try total("auto")
    for alpha in ["0.2", "0.5", "0.75", "1"] { #expect(searched <= (try total(alpha)) * 1.0001) }
  }

  /// If rounding loses nothing, the identity wins.
  @Test func exactBlocksAreLeftAlone() throws {
    let inputs = Matrix(rows: 4, columns: 16, values: (0..<64).map { $0 % 3 == 0 ? -448 : 448 })
    var block = workspace(inputs, scheme: FloatScheme.f32)
    for layer in block.matrices.keys { block.activations[layer] = ActivationScheme(.fp8, .token) }
    let before = block
    let notes = try method("auto").transform(&block)
    #expect(notes.count == 2 && notes.allSatisfy { $0.contains("no scaling beats plain rounding") })
    #expect(block.vectors == before.vectors)
  }

  @Test func theScalesDoNotDependOnTheNumberOfThreads() throws {
    var one = workspace(tokens(40, 16), threads: 1), three = workspace(tokens(40, 16), threads: 3)
    _ = try method("auto").transform(&one)
    _ = try method("auto").transform(&three)
    #expect(one.matrices == three.matrices && one.vectors == three.vectors)
  }

  @Test func optionsAreChecked() throws {
    for bad in ["1.5", "-0.1", "half", ""] { #expect(throws: Failure.self) { try method(bad) } }
    #expect(throws: Never.self) { try method("auto") }
  }
}
