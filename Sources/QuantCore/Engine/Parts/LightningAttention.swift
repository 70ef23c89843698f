import QuantPlatform

extension TensorRole {
  /// The products of a linear attention: queries, keys and values, and the gate of the result.
  public static let linearQuery = TensorRole("linearQuery")
  public static let linearKey = TensorRole("linearKey")
  public static let linearValue = TensorRole("linearValue")
  public static let linearGate = TensorRole("linearGate")
}

/// Lightning attention (arXiv:2501.08313): a linear attention, whose heads each keep a matrix from keys to values that decays with every
/// token by a constant of the head and the block. Queries, keys and values are activated, the results of all heads are normalized
/// together and gated.
///
/// Computed token by token, so a token gives the same bits whether it comes with its whole sequence or after a kept state.
public struct LightningAttention: Part {
  /// Channels of the hidden states.
  public var width: Int
  public var headCount: Int
  public var headSize: Int
  /// Of the logarithm by which the state of a head decays: the slopes of ALiBi times this.
  public var decayFactor: Double
  /// The norm over the results of all heads.
  public var norm: Norm

  public init(width: Int, headCount: Int, headSize: Int, decayFactor: Double, norm: Norm) {
    self.width = width
    self.headCount = headCount
    self.headSize = headSize
    self.decayFactor = decayFactor
    self.norm = norm
  }

  /// The factor that a model of so many blocks has in one of them: later blocks forget more slowly.
  public static func decayFactor(block: Int, of count: Int) -> Double { 1 - Double(block) / (Double(count - 1) + 1e-5) + 1e-5 }

  private var inner: Int { headCount * headSize }
  private static let products: [TensorRole] = [.linearQuery, .linearKey, .linearValue]

  public var tensors: [PartTensor] {
    (LightningAttention.products + [.linearGate]).map { PartTensor($0, [inner, width], .mixer) } + [
      PartTensor(norm.role, [inner], .norm), PartTensor(.mixerOutput, [width, inner], .mixer),
    ]
  }

  public var linears: [(layer: Layer, input: Site)] {
    (LightningAttention.products + [.linearGate]).map { (Layer($0), .mixerInput) } + [(Layer(.mixerOutput), .mixerOutput)]
  }

  public var inputSites: [Site] { [.mixerInput] }
  public var mixesTokens: Bool { true }

  // MARK: Forward pass

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .mixerInput)
    let products = LightningAttention.products.map { role in
      var product = context.linear(Layer(role), input)
      Activation.silu.apply(&product, parallel: context.parallel)
      return product
    }
    let mixed = context.normed(scan(products[0], products[1], products[2], context), by: norm)
    var gated = context.linear(Layer(.linearGate), input)
    for i in gated.values.indices { gated.values[i] = gated.values[i].sigmoid * mixed.values[i] }
    context.pass(&gated, through: .mixerOutput)
    return context.isOutputWanted ? context.linear(Layer(.mixerOutput), gated) : nil
  }

  private func scan(_ queries: Matrix, _ keys: Matrix, _ values: Matrix, _ context: any BlockContext) -> Matrix {
    let rows = context.sequences, size = headSize
    let decays = AttentionKernel.slopes(headCount).map { Float(-Double($0) * decayFactor).exponential }
    let states = RecurrentStates(context, rows: queries.rows, size: headCount * size * size)
    var result = Matrix(rows: queries.rows, columns: inner)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      context.parallel.forEach(states.count * headCount) { index in
        let (sequence, head) = index.quotientAndRemainder(dividingBy: headCount)
        let state = states.base(sequence) + head * size * size
        queries.withPanel { queries in
          keys.withPanel { keys in
            values.withPanel { values in
              for row in sequence * rows.length..<(sequence + 1) * rows.length {
                advance(
                  state, decay: decays[head], query: queries.row(row) + head * size, key: keys.row(row) + head * size,
                  value: values.row(row) + head * size, into: target.base + row * inner + head * size)
              }
            }
          }
        }
      }
    }
    states.keep(in: context)
    return result
  }

  /// One token of one head.
  private func advance(
    _ state: UnsafeMutablePointer<Float>, decay: Float, query: UnsafePointer<Float>, key: UnsafePointer<Float>,
    value: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    for v in 0..<headSize { y[v] = 0 }
    for k in 0..<headSize {
      let row = state + k * headSize
      for v in 0..<headSize {
        row[v] = decay * row[v] + key[k] * value[v]
        y[v] += query[k] * row[v]
      }
    }
  }
}
