import Glibc
import QuantCore
import Testing

/// Compares recurrent mixers with their formulas, computed in doubles, and checks that a kept state continues a sequence.
@Suite struct MixerPartTests {
  private static let width = 10

  static let variants: [String: any Part] = {
    func norm(gain: Bool = true) -> Norm { Norm(.mixerNorm, .rootMeanSquare, epsilon: 1e-5, hasGain: gain) }
    func mamba2(_ change: (inout Mamba2) -> Void = { _ in }) -> Mamba2 {
      var part = Mamba2(width: width, headCount: 4, headSize: 3, stateSize: 5, groupCount: 2, kernelSize: 3, norm: norm())
      change(&part)
      return part
    }
    var mamba = Mamba(width: width, innerSize: 70, stateSize: 4, stepSize: 3, kernelSize: 4)
    mamba.norm = norm()
    return [
      "convolution": ShortConvolution(width: width, kernelSize: 3),
      "convolution with bias": ShortConvolution(width: width, kernelSize: 4, hasBias: true),
      "mamba": mamba, "mamba without norms": Mamba(width: width, innerSize: 6, stateSize: 4, stepSize: 3, kernelSize: 2),
      "mamba2": mamba2(), "mamba2 without norm": mamba2 { $0.norm = nil }, "mamba2, norm first": mamba2 { $0.normalisesBeforeGate = true },
      "delta": GatedDeltaNet(width: width, keyHeadCount: 2, valueHeadCount: 4, keySize: 3, valueSize: 5, kernelSize: 4, norm: norm()),
    ]
  }()
  static let names = variants.keys.sorted()

  private static func context(_ part: any Part, _ rows: SequenceRows) -> PartContext {
    let context = PartContext(rows)
    context.fill(part)
    // Rates of decay are negative.
    if let rates = context.vectors[TensorID(.decayRate)] { context.vectors[TensorID(.decayRate)] = rates.map { -1 - $0 } }
    return context
  }

  @Test(arguments: names) func sequencesDoNotMixAndStepsContinueOne(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 5)
    let first = random.matrix(9, Self.width), second = random.matrix(9, Self.width)
    let both = Matrix(rows: 18, columns: Self.width, values: first.values + second.values)
    let together = try #require(part.run(both, in: Self.context(part, SequenceRows(length: 9))))
    let alone = try #require(part.run(second, in: Self.context(part, SequenceRows(length: 9))))
    #expect(Array(together.values[(9 * Self.width)...]) == alone.values)

    let context = Self.context(part, SequenceRows(length: 1))
    context.cache = PartCache()
    var stepped: [Float] = []
    for (start, count) in [(0, 4), (4, 1), (5, 1), (6, 3)] {
      context.sequences = SequenceRows(length: count, first: start)
      let rows = Matrix(
        rows: count, columns: Self.width, values: Array(second.values[start * Self.width..<(start + count) * Self.width]))
      stepped += try #require(part.run(rows, in: context)).values
    }
    #expect(stepped == alone.values)
  }

  @Test(arguments: names) func mixersComputeTheirFormula(_ name: String) throws {
    let part = try #require(Self.variants[name])
    var random = TestRandom(seed: 6)
    let input = random.matrix(11, Self.width)
    let context = Self.context(part, SequenceRows(length: 11))
    let result = try #require(part.run(input, in: context))
    let expected: [Double] =
      switch part {
      case let part as ShortConvolution: Formula(context, part.kernelSize).short(input)
      case let part as Mamba: Formula(context, part.kernelSize).mamba(part, input)
      case let part as Mamba2: Formula(context, part.kernelSize).mamba2(part, input)
      case let part as GatedDeltaNet: Formula(context, part.kernelSize).delta(part, input)
      default: []
      }
    let largest = expected.map { abs($0) }.max() ?? 0
    #expect(largest > 0.01 && expected.count == result.values.count)
    for (found, wanted) in zip(result.values, expected) { #expect(abs(Double(found) - wanted) < 2e-5 * largest) }
  }
}

/// The formulas, for one sequence.
private struct Formula {
  let context: PartContext
  let kernelSize: Int

  init(_ context: PartContext, _ kernelSize: Int) { (self.context, self.kernelSize) = (context, kernelSize) }

  /// Rows of a product.
  private func product(_ role: TensorRole, _ x: Matrix) -> [[Double]] {
    let y = context.linear(Layer(role), x)
    return (0..<y.rows).map { row in (0..<y.columns).map { Double(y[row, $0]) } }
  }

  private func product(_ role: TensorRole, _ x: [[Double]]) -> [[Double]] {
    product(role, Matrix(rows: x.count, columns: x[0].count, values: x.flatMap { $0.map { Float($0) } }))
  }

  private func vector(_ role: TensorRole) -> [Double] { (context.vectors[TensorID(role)] ?? []).map { Double($0) } }
  private func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }
  private func softplus(_ x: Double) -> Double { log(1 + exp(x)) }

  private func convolved(_ x: [[Double]]) -> [[Double]] {
    let kernel = vector(.convolution), bias = vector(.convolutionBias)
    return x.indices.map { t in
      x[t].indices.map { c in
        (0..<kernelSize).reduce(bias.isEmpty ? 0 : bias[c]) { sum, k in
          let from = t - (kernelSize - 1 - k)
          return from < 0 ? sum : sum + kernel[c * kernelSize + k] * x[from][c]
        }
      }
    }
  }

  private func normalised(_ x: [Double], _ gain: [Double], groups: Int) -> [Double] {
    let size = x.count / groups
    return x.indices.map { i in
      let group = x[i / size * size..<(i / size + 1) * size]
      let scale = 1 / (group.reduce(0) { $0 + $1 * $1 } / Double(size) + 1e-5).squareRoot()
      return x[i] * scale * (gain.isEmpty ? 1 : gain[i % gain.count])
    }
  }

  func short(_ input: Matrix) -> [Double] {
    let (a, b, x) = (product(.convolutionInputGate, input), product(.convolutionOutputGate, input), product(.convolved, input))
    let mixed = convolved(zip(a, x).map { zip($0, $1).map { $0 * $1 } })
    return product(.convolutionOutput, zip(b, mixed).map { zip($0, $1).map { $0 * $1 } }).flatMap { $0 }
  }

  func mamba(_ part: Mamba, _ input: Matrix) -> [Double] {
    let gate = product(.stateGate, input)
    let x = convolved(product(.stateValue, input)).map { $0.map(silu) }
    func made(_ role: TensorRole, _ norm: TensorRole) -> [[Double]] {
      product(role, x).map { part.norm == nil ? $0 : normalised($0, vector(norm), groups: 1) }
    }
    let steps = product(.stateStep, made(.stateStepInput, .stepNorm)).map { $0.map(softplus) }
    let (b, c) = (made(.stateInput, .stateInputNorm), made(.stateOutput, .stateOutputNorm))
    let rates = vector(.decayRate), skips = vector(.skip)
    var state = [Double](repeating: 0, count: rates.count)
    return product(
      .mixerOutput,
      x.indices.map { t in
        x[t].indices.map { i in
          var y = skips[i] * x[t][i]
          for n in 0..<part.stateSize {
            let at = i * part.stateSize + n
            state[at] = state[at] * exp(steps[t][i] * rates[at]) + steps[t][i] * b[t][n] * x[t][i]
            y += c[t][n] * state[at]
          }
          return y * silu(gate[t][i])
        }
      }
    ).flatMap { $0 }
  }

  func mamba2(_ part: Mamba2, _ input: Matrix) -> [Double] {
    let gate = product(.stateGate, input), steps = product(.stateStep, input)
    let inputs: [TensorRole] = [.stateValue, .stateInput, .stateOutput]
    let parts = inputs.map { product($0, input) }
    let all = convolved(input.rows == 0 ? [] : parts[0].indices.map { t in parts.flatMap { $0[t] } }).map { $0.map(silu) }
    let rates = vector(.decayRate), biases = vector(.stepBias), skips = vector(.skip)
    let (inner, shared) = (part.innerSize, part.groupCount * part.stateSize)
    var state = [Double](repeating: 0, count: inner * part.stateSize)
    let mixed = all.indices.map { t in
      let y = (0..<inner).map { i in
        let head = i / part.headSize, group = head / (part.headCount / part.groupCount)
        let step = softplus(steps[t][head] + biases[head])
        var y = skips[head] * all[t][i]
        for n in 0..<part.stateSize {
          let at = i * part.stateSize + n
          state[at] = state[at] * exp(step * rates[head]) + step * all[t][inner + group * part.stateSize + n] * all[t][i]
          y += all[t][inner + shared + group * part.stateSize + n] * state[at]
        }
        return y
      }
      func gated(_ y: [Double]) -> [Double] { zip(y, gate[t]).map { $0 * silu($1) } }
      func normed(_ y: [Double]) -> [Double] { part.norm == nil ? y : normalised(y, vector(.mixerNorm), groups: part.groupCount) }
      return part.normalisesBeforeGate ? gated(normed(y)) : normed(gated(y))
    }
    return product(.mixerOutput, mixed).flatMap { $0 }
  }

  func delta(_ part: GatedDeltaNet, _ input: Matrix) -> [Double] {
    let inputs: [TensorRole] = [.deltaQuery, .deltaKey, .deltaValue]
    let parts = inputs.map { product($0, input) }
    let all = convolved(parts[0].indices.map { t in parts.flatMap { $0[t] } }).map { $0.map(silu) }
    let gate = product(.deltaGate, input), writes = product(.deltaWrite, input), decays = product(.deltaDecay, input)
    let rates = vector(.decayRate), biases = vector(.stepBias)
    let (k, v, keyWidth) = (part.keySize, part.valueSize, part.keyHeadCount * part.keySize)
    func unit(_ x: ArraySlice<Double>) -> [Double] {
      let length = (x.reduce(0) { $0 + $1 * $1 } + 1e-6).squareRoot()
      return x.map { $0 / length }
    }
    var states = [[Double]](repeating: [Double](repeating: 0, count: k * v), count: part.valueHeadCount)
    let mixed = all.indices.map { t in
      (0..<part.valueHeadCount).flatMap { head -> [Double] in
        let keyHead = head / (part.valueHeadCount / part.keyHeadCount)
        let query = unit(all[t][keyHead * k..<(keyHead + 1) * k]).map { $0 / Double(k).squareRoot() }
        let key = unit(all[t][keyWidth + keyHead * k..<keyWidth + (keyHead + 1) * k])
        let decay = exp(rates[head] * softplus(decays[t][head] + biases[head])), write = 1 / (1 + exp(-writes[t][head]))
        for i in states[head].indices { states[head][i] *= decay }
        let y = (0..<v).map { j in
          let known = (0..<k).reduce(0.0) { $0 + key[$1] * states[head][$1 * v + j] }
          let change = (all[t][2 * keyWidth + head * v + j] - known) * write
          for i in 0..<k { states[head][i * v + j] += key[i] * change }
          return (0..<k).reduce(0.0) { $0 + query[$1] * states[head][$1 * v + j] }
        }
        return zip(normalised(y, vector(.mixerNorm), groups: 1), gate[t][head * v..<(head + 1) * v]).map { $0 * silu($1) }
      }
    }
    return product(.mixerOutput, mixed).flatMap { $0 }
  }
}
