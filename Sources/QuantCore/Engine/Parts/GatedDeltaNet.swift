import QuantPlatform

extension TensorRole {
  /// The products of a delta net: queries, keys and values, the gate of the result, how much of a value is written, and how fast the
  /// state decays.
  public static let deltaQuery = TensorRole("deltaQuery")
  public static let deltaKey = TensorRole("deltaKey")
  public static let deltaValue = TensorRole("deltaValue")
  public static let deltaGate = TensorRole("deltaGate")
  public static let deltaWrite = TensorRole("deltaWrite")
  public static let deltaDecay = TensorRole("deltaDecay")
}

/// The gated delta net (arXiv:2412.06464): each head keeps a matrix from keys to values. A token lets it decay, corrects the value at
/// its key by a part of the error, and reads the value at its query.
///
/// Computed token by token, so a token gives the same bits whether it comes with its whole sequence or after a kept state.
public struct GatedDeltaNet: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Heads of queries and keys, and of values; a key serves as many values as there are more of these.
  public var keyHeadCount: Int
  public var valueHeadCount: Int
  /// Channels of a query and a key, and of a value.
  public var keySize: Int
  public var valueSize: Int
  /// Tokens that the convolution mixes.
  public var kernelSize: Int
  /// The norm of each head's result, before the gate.
  public var norm: Norm

  public init(
    width: Int, keyHeadCount: Int, valueHeadCount: Int, keySize: Int, valueSize: Int, kernelSize: Int, norm: Norm
  ) {
    self.width = width
    self.keyHeadCount = keyHeadCount
    self.valueHeadCount = valueHeadCount
    self.keySize = keySize
    self.valueSize = valueSize
    self.kernelSize = kernelSize
    self.norm = norm
  }

  private var keyWidth: Int { keyHeadCount * keySize }
  private var valueWidth: Int { valueHeadCount * valueSize }
  /// Channels that the convolution runs over: queries, keys and values.
  public var convolvedSize: Int { 2 * keyWidth + valueWidth }

  public var tensors: [PartTensor] {
    [
      PartTensor(.deltaQuery, [keyWidth, width], .mixer), PartTensor(.deltaKey, [keyWidth, width], .mixer),
      PartTensor(.deltaValue, [valueWidth, width], .mixer), PartTensor(.deltaGate, [valueWidth, width], .mixer),
      PartTensor(.deltaWrite, [valueHeadCount, width], .control), PartTensor(.deltaDecay, [valueHeadCount, width], .control),
      PartTensor(.convolution, [convolvedSize * kernelSize], .vector), PartTensor(.stepBias, [valueHeadCount], .bias),
      PartTensor(.decayRate, [valueHeadCount], .vector), PartTensor(norm.role, [valueSize], .norm),
      PartTensor(.mixerOutput, [width, valueWidth], .mixer),
    ]
  }

  public var linears: [(layer: Layer, input: Site)] {
    let first: [TensorRole] = [.deltaQuery, .deltaKey, .deltaValue, .deltaGate, .deltaWrite, .deltaDecay]
    return first.map { (Layer($0), .mixerInput) } + [(Layer(.mixerOutput), .mixerOutput)]
  }

  public var inputSites: [Site] { [.mixerInput] }
  public var mixesTokens: Bool { true }

  // MARK: Forward pass

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .mixerInput)
    let layers: [TensorRole] = [.deltaQuery, .deltaKey, .deltaValue]
    var convolved = context.convolved(.sideBySide(layers.map { context.linear(Layer($0), input) }), size: kernelSize)
    Activation.silu.apply(&convolved, parallel: context.parallel)
    normaliseHeads(&convolved, context.parallel)
    var result = scan(
      convolved, writes: context.linear(Layer(.deltaWrite), input), decays: context.linear(Layer(.deltaDecay), input), context)
    result.normaliseGroups(norm, gain: context.vector(norm.role), size: valueSize, context.parallel)
    var gate = context.linear(Layer(.deltaGate), input)
    Activation.silu.gate(&gate, by: result, parallel: context.parallel)
    context.pass(&gate, through: .mixerOutput)
    return context.isOutputWanted ? context.linear(Layer(.mixerOutput), gate) : nil
  }

  /// Queries and keys get length 1; queries are then divided by the root of their size.
  private func normaliseHeads(_ x: inout Matrix, _ parallel: Parallel) {
    let (width, heads, size) = (x.columns, keyHeadCount, keySize)
    let scale = 1 / Float(size).squareRoot()
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(buffer.count / max(1, width), piece: 64) { piece in
        for row in piece {
          for head in 0..<2 * heads {
            let x = target.base + row * width + head * size
            let factor = 1 / (VectorKernels.dot(x, x, count: size) + 1e-6).squareRoot() * (head < heads ? scale : 1)
            for i in 0..<size { x[i] *= factor }
          }
        }
      }
    }
  }

  private func scan(_ convolved: Matrix, writes: Matrix, decays: Matrix, _ context: any BlockContext) -> Matrix {
    let rows = context.sequences
    let rates = context.vector(.decayRate) ?? [], biases = context.vector(.stepBias) ?? []
    let headState = keySize * valueSize
    let states = RecurrentStates(context, rows: convolved.rows, size: valueHeadCount * headState)
    var result = Matrix(rows: convolved.rows, columns: valueWidth)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      context.parallel.forEach(states.count * valueHeadCount) { index in
        convolved.withPanel { x in
          let (sequence, head) = index.quotientAndRemainder(dividingBy: valueHeadCount)
          let keyHead = head / (valueHeadCount / keyHeadCount)
          let scratch = AlignedScratch(count: valueSize)
          for row in sequence * rows.length..<(sequence + 1) * rows.length {
            let token = x.row(row)
            let decay = (rates[head] * (decays[row, head] + biases[head]).softplus).exponential
            advance(
              states.base(sequence) + head * headState, decay: decay, write: writes[row, head].sigmoid,
              query: token + keyHead * keySize, key: token + keyWidth + keyHead * keySize, value: token + 2 * keyWidth + head * valueSize,
              change: scratch.base, into: target.base + row * valueWidth + head * valueSize)
          }
        }
      }
    }
    states.keep(in: context)
    return result
  }

  /// One token of one head.
  private func advance(
    _ state: UnsafeMutablePointer<Float>, decay: Float, write: Float, query: UnsafePointer<Float>, key: UnsafePointer<Float>,
    value: UnsafePointer<Float>, change: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    // What the decayed state has at the key.
    for v in 0..<valueSize { change[v] = 0 }
    for k in 0..<keySize {
      let row = state + k * valueSize
      for v in 0..<valueSize {
        row[v] *= decay
        change[v] += key[k] * row[v]
      }
    }
    for v in 0..<valueSize {
      change[v] = (value[v] - change[v]) * write
      y[v] = 0
    }
    for k in 0..<keySize {
      let row = state + k * valueSize
      for v in 0..<valueSize {
        row[v] += key[k] * change[v]
        y[v] += query[k] * row[v]
      }
    }
  }
}
