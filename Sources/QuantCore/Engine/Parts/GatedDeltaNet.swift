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
  /// What makes the latents from which a gate and a decay are made.
  public static let deltaGateLatent = TensorRole("deltaGateLatent")
  public static let deltaDecayLatent = TensorRole("deltaDecayLatent")
  /// The kernels of queries, keys and values, where each has its own.
  public static let queryConvolution = TensorRole("queryConvolution")
  public static let keyConvolution = TensorRole("keyConvolution")
  public static let valueConvolution = TensorRole("valueConvolution")
}

extension Site {
  /// The latents from which the gate and the decay of a delta net are made.
  public static let deltaGateLatent = Site("mixer.gate-latent")
  public static let deltaDecayLatent = Site("mixer.decay-latent")
}

/// The gated delta net (arXiv:2412.06464): each head keeps a matrix from keys to values. A token lets it decay, corrects the value at
/// its key by a part of the error, and reads the value at its query. In Kimi's form (arXiv:2510.26692), each channel of a key decays by
/// itself.
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
  /// Channels of the latents from which gate and decay are made; nil: they are made from the input.
  public var latentSize: Int?
  /// Whether every channel of a key decays by itself, not all of a head together.
  public var decaysChannels = false
  /// Whether the gate is the logistic function of the products, not SiLU.
  public var hasLogisticGate = false
  /// Whether queries, keys and values each have a kernel of their own.
  public var hasSeparateKernels = false

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

  /// Decays of a token.
  private var decayWidth: Int { decaysChannels ? valueHeadCount * keySize : valueHeadCount }
  private static let separateKernels: [TensorRole] = [.queryConvolution, .keyConvolution, .valueConvolution]

  public var tensors: [PartTensor] {
    let read = latentSize ?? width
    var tensors = [
      PartTensor(.deltaQuery, [keyWidth, width], .mixer), PartTensor(.deltaKey, [keyWidth, width], .mixer),
      PartTensor(.deltaValue, [valueWidth, width], .mixer), PartTensor(.deltaGate, [valueWidth, read], .mixer),
      PartTensor(.deltaWrite, [valueHeadCount, width], .control), PartTensor(.deltaDecay, [decayWidth, read], .control),
    ]
    if let latentSize {
      tensors += [
        PartTensor(.deltaGateLatent, [latentSize, width], .mixer), PartTensor(.deltaDecayLatent, [latentSize, width], .control),
      ]
    }
    if hasSeparateKernels {
      tensors += zip(GatedDeltaNet.separateKernels, [keyWidth, keyWidth, valueWidth]).map { PartTensor($0, [$1 * kernelSize], .vector) }
    } else {
      tensors.append(PartTensor(.convolution, [convolvedSize * kernelSize], .vector))
    }
    return tensors + [
      PartTensor(.stepBias, [decayWidth], .bias), PartTensor(.decayRate, [valueHeadCount], .vector),
      PartTensor(norm.role, [valueSize], .norm), PartTensor(.mixerOutput, [width, valueWidth], .mixer),
    ]
  }

  public var linears: [(layer: Layer, input: Site)] {
    let direct: [TensorRole] =
      latentSize == nil
      ? [.deltaQuery, .deltaKey, .deltaValue, .deltaGate, .deltaWrite, .deltaDecay]
      : [.deltaQuery, .deltaKey, .deltaValue, .deltaWrite, .deltaGateLatent, .deltaDecayLatent]
    let later: [(layer: Layer, input: Site)] =
      latentSize == nil ? [] : [(Layer(.deltaGate), .deltaGateLatent), (Layer(.deltaDecay), .deltaDecayLatent)]
    return direct.map { (Layer($0), .mixerInput) } + later + [(Layer(.mixerOutput), .mixerOutput)]
  }

  public var inputSites: [Site] { [.mixerInput] }
  public var mixesTokens: Bool { true }

  // MARK: Forward pass

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .mixerInput)
    let layers: [TensorRole] = [.deltaQuery, .deltaKey, .deltaValue]
    let kernels = hasSeparateKernels ? GatedDeltaNet.separateKernels : [.convolution]
    var convolved = context.convolved(
      .sideBySide(layers.map { context.linear(Layer($0), input) }), size: kernelSize, kernels: kernels)
    Activation.silu.apply(&convolved, parallel: context.parallel)
    normaliseHeads(&convolved, context.parallel)
    var result = scan(
      convolved, writes: context.linear(Layer(.deltaWrite), input),
      decays: product(.deltaDecay, of: input, through: .deltaDecayLatent, .deltaDecayLatent, context), context)
    result.normaliseGroups(norm, gain: context.vector(norm.role), size: valueSize, context.parallel)
    var gate = product(.deltaGate, of: input, through: .deltaGateLatent, .deltaGateLatent, context)
    if hasLogisticGate {
      for i in gate.values.indices { gate.values[i] = gate.values[i].sigmoid * result.values[i] }
    } else {
      Activation.silu.gate(&gate, by: result, parallel: context.parallel)
    }
    context.pass(&gate, through: .mixerOutput)
    return context.isOutputWanted ? context.linear(Layer(.mixerOutput), gate) : nil
  }

  private func product(
    _ role: TensorRole, of input: Matrix, through latent: TensorRole, _ site: Site, _ context: any BlockContext
  ) -> Matrix {
    guard latentSize != nil else { return context.linear(Layer(role), input) }
    var made = context.linear(Layer(latent), input)
    context.pass(&made, through: site)
    return context.linear(Layer(role), made)
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
          let scratch = AlignedScratch(count: valueSize), decay = AlignedScratch(count: keySize)
          // One decay for each of so many channels of a key.
          let share = decaysChannels ? 1 : keySize
          for row in sequence * rows.length..<(sequence + 1) * rows.length {
            let token = x.row(row)
            for first in stride(from: 0, to: keySize, by: share) {
              let index = (head * keySize + first) / share
              let value = (rates[head] * (decays[row, index] + biases[index]).softplus).exponential
              (decay.base + first).update(repeating: value, count: share)
            }
            advance(
              states.base(sequence) + head * headState, decay: decay.base, write: writes[row, head].sigmoid,
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
    _ state: UnsafeMutablePointer<Float>, decay: UnsafePointer<Float>, write: Float, query: UnsafePointer<Float>, key: UnsafePointer<Float>,
    value: UnsafePointer<Float>, change: UnsafeMutablePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    // What the decayed state has at the key.
    for v in 0..<valueSize { change[v] = 0 }
    for k in 0..<keySize {
      let row = state + k * valueSize
      for v in 0..<valueSize {
        row[v] *= decay[k]
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
