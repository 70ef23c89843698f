import QuantPlatform

extension TensorRole {
  /// The products of a state-space layer: what enters the state (x), how strongly each state channel takes it in (B) and gives it out
  /// (C), how long a token acts (dt), the gate (z), and the output. B and C correspond to keys and queries of an attention.
  public static let stateValue = TensorRole("stateValue")
  public static let stateInput = TensorRole("stateInput")
  public static let stateOutput = TensorRole("stateOutput")
  public static let stateStep = TensorRole("stateStep")
  public static let stateGate = TensorRole("stateGate")
  public static let mixerOutput = TensorRole("mixerOutput")
  /// How fast a state decays (A), the bias of the time step, and the factor of what goes past the state (D).
  public static let decayRate = TensorRole("decayRate")
  public static let stepBias = TensorRole("stepBias")
  public static let skip = TensorRole("skip")
  /// The norm of the result.
  public static let mixerNorm = TensorRole("mixerNorm")
}

extension Site {
  /// What the layers of a recurrent mixer read, and what its output layer reads.
  public static let mixerInput = Site("mixer.input")
  public static let mixerOutput = Site("mixer.output")
}

/// Mamba-2 (arXiv:2405.21060): each head keeps a state that decays, takes in the values of a token, and is read by the next.
///
/// The recurrence is computed token by token, so a token gives the same bits whether it comes with its whole sequence or after a kept
/// state.
public struct Mamba2: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Number of heads.
  public var headCount: Int
  /// Channels of a head.
  public var headSize: Int
  /// Channels of the state for each channel of a head.
  public var stateSize: Int
  /// Groups of heads that share B and C.
  public var groupCount: Int
  /// Tokens that the convolution mixes.
  public var kernelSize: Int
  /// Whether the convolution has a bias.
  public var hasConvolutionBias = true
  /// The norm of the result, over the channels of a group; nil: there is none.
  public var norm: Norm?
  /// The least time that a token acts.
  public var minimumStep: Float = 0
  /// Whether the norm comes before the gate.
  public var normalisesBeforeGate = false

  public init(width: Int, headCount: Int, headSize: Int, stateSize: Int, groupCount: Int, kernelSize: Int, norm: Norm?) {
    self.width = width
    self.headCount = headCount
    self.headSize = headSize
    self.stateSize = stateSize
    self.groupCount = groupCount
    self.kernelSize = kernelSize
    self.norm = norm
  }

  /// Channels of all heads.
  public var innerSize: Int { headCount * headSize }
  private var sharedSize: Int { groupCount * stateSize }
  /// Channels that the convolution runs over: x, B and C.
  public var convolvedSize: Int { innerSize + 2 * sharedSize }

  public var tensors: [PartTensor] {
    var tensors = [
      PartTensor(.stateGate, [innerSize, width], .mixer), PartTensor(.stateValue, [innerSize, width], .mixer),
      PartTensor(.stateInput, [sharedSize, width], .mixer), PartTensor(.stateOutput, [sharedSize, width], .mixer),
      PartTensor(.stateStep, [headCount, width], .mixer), PartTensor(.convolution, [convolvedSize * kernelSize], .vector),
    ]
    if hasConvolutionBias { tensors.append(PartTensor(.convolutionBias, [convolvedSize], .bias)) }
    tensors += [
      PartTensor(.stepBias, [headCount], .bias), PartTensor(.decayRate, [headCount], .vector), PartTensor(.skip, [headCount], .vector),
    ]
    if let norm, norm.hasGain { tensors.append(PartTensor(norm.role, [innerSize], .norm)) }
    return tensors + [PartTensor(.mixerOutput, [width, innerSize], .mixer)]
  }

  public var linears: [(layer: Layer, input: Site)] {
    [
      (Layer(.stateGate), .mixerInput), (Layer(.stateValue), .mixerInput), (Layer(.stateInput), .mixerInput),
      (Layer(.stateOutput), .mixerInput), (Layer(.stateStep), .mixerInput), (Layer(.mixerOutput), .mixerOutput),
    ]
  }

  public var inputSites: [Site] { [.mixerInput] }

  public var folds: [Fold] {
    guard let norm, norm.hasGain, !normalisesBeforeGate else { return [] }
    return [Fold(site: .mixerOutput, producer: .norm(norm.role))]
  }

  public var mixesTokens: Bool { true }

  // MARK: Forward pass

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .mixerInput)
    let gate = context.linear(Layer(.stateGate), input)
    let layers: [TensorRole] = [.stateValue, .stateInput, .stateOutput]
    var convolved = context.convolved(.sideBySide(layers.map { context.linear(Layer($0), input) }), size: kernelSize)
    Activation.silu.apply(&convolved, parallel: context.parallel)
    var result = scan(convolved, steps: context.linear(Layer(.stateStep), input), context)
    finish(&result, gate: gate, context)
    context.pass(&result, through: .mixerOutput)
    return context.isOutputWanted ? context.linear(Layer(.mixerOutput), result) : nil
  }

  /// Runs every head of every sequence through its tokens.
  /// - Parameters:
  ///   - convolved: x, B and C of each token.
  ///   - steps: `[tokens, heads]`, before their bias.
  private func scan(_ convolved: Matrix, steps: Matrix, _ context: any BlockContext) -> Matrix {
    let rows = context.sequences
    let rates = context.vector(.decayRate) ?? [], biases = context.vector(.stepBias) ?? [], skips = context.vector(.skip) ?? []
    let headState = stateSize * headSize
    let states = RecurrentStates(context, rows: convolved.rows, size: headCount * headState)
    var result = Matrix(rows: convolved.rows, columns: innerSize)
    let width = innerSize
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      context.parallel.forEach(states.count * headCount) { index in
        convolved.withPanel { x in
          let (sequence, head) = index.quotientAndRemainder(dividingBy: headCount)
          let state = states.base(sequence) + head * headState
          let group = head / (headCount / groupCount)
          let values = AlignedScratch(count: headSize)
          for row in sequence * rows.length..<(sequence + 1) * rows.length {
            let token = x.row(row)
            let step = max((steps[row, head] + biases[head]).softplus, minimumStep)
            let own = token + head * headSize
            for p in 0..<headSize { values.base[p] = own[p] * step }
            let takeIn = token + width + group * stateSize
            let y = target.base + row * width + head * headSize
            for p in 0..<headSize { y[p] = skips[head] * own[p] }
            advance(state, decay: (step * rates[head]).exponential, values.base, takeIn, takeIn + sharedSize, into: y)
          }
        }
      }
    }
    states.keep(in: context)
    return result
  }

  /// One token of one head: the state decays and takes in values times B; the result is its product with C.
  private func advance(
    _ state: UnsafeMutablePointer<Float>, decay: Float, _ values: UnsafePointer<Float>, _ takeIn: UnsafePointer<Float>,
    _ giveOut: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>
  ) {
    for n in 0..<stateSize {
      let channel = state + n * headSize
      let (b, c) = (takeIn[n], giveOut[n])
      for p in 0..<headSize {
        channel[p] = channel[p] * decay + b * values[p]
        y[p] += c * channel[p]
      }
    }
  }

  /// Gate and norm.
  private func finish(_ result: inout Matrix, gate: Matrix, _ context: any BlockContext) {
    var gate = gate
    if norm == nil || !normalisesBeforeGate {
      Activation.silu.gate(&gate, by: result, parallel: context.parallel)
      result = gate
      if let norm { result.normaliseGroups(norm, gain: context.vector(norm.role), size: innerSize / groupCount, context.parallel) }
    } else if let norm {
      result.normaliseGroups(norm, gain: context.vector(norm.role), size: innerSize / groupCount, context.parallel)
      Activation.silu.gate(&gate, by: result, parallel: context.parallel)
      result = gate
    }
  }
}
