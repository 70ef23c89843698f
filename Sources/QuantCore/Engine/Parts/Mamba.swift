import QuantPlatform

extension TensorRole {
  /// Makes the short vector that the time steps of all channels are made from.
  public static let stateStepInput = TensorRole("stateStepInput")
  /// Norms of that vector, of B and of C.
  public static let stepNorm = TensorRole("stepNorm")
  public static let stateInputNorm = TensorRole("stateInputNorm")
  public static let stateOutputNorm = TensorRole("stateOutputNorm")
}

extension Site {
  /// What comes out of the convolution, and what the time steps are made from.
  public static let mixerConvolved = Site("mixer.convolved")
  public static let mixerStep = Site("mixer.step")
}

/// Mamba (arXiv:2312.00752): each channel keeps a small state with decay rates of its own.
///
/// Computed token by token, so a token gives the same bits whether it comes with its whole sequence or after a kept state.
public struct Mamba: Part {
  /// Channels of the hidden states.
  public var width: Int
  /// Channels inside.
  public var innerSize: Int
  /// Channels of the state for each of them.
  public var stateSize: Int
  /// Length of the vector that time steps are made from.
  public var stepSize: Int
  /// Tokens that the convolution mixes.
  public var kernelSize: Int
  /// Whether the convolution has a bias.
  public var hasConvolutionBias = true
  /// The norm of that vector, of B and of C; its role is not used; nil: there is none.
  public var norm: Norm?

  public init(width: Int, innerSize: Int, stateSize: Int, stepSize: Int, kernelSize: Int) {
    self.width = width
    self.innerSize = innerSize
    self.stateSize = stateSize
    self.stepSize = stepSize
    self.kernelSize = kernelSize
  }

  private static let norms: [TensorRole] = [.stepNorm, .stateInputNorm, .stateOutputNorm]

  public var tensors: [PartTensor] {
    var tensors = [
      PartTensor(.stateValue, [innerSize, width], .mixer), PartTensor(.stateGate, [innerSize, width], .mixer),
      PartTensor(.convolution, [innerSize * kernelSize], .vector),
    ]
    if hasConvolutionBias { tensors.append(PartTensor(.convolutionBias, [innerSize], .bias)) }
    tensors += [
      PartTensor(.stateStepInput, [stepSize, innerSize], .control), PartTensor(.stateInput, [stateSize, innerSize], .control),
      PartTensor(.stateOutput, [stateSize, innerSize], .control),
    ]
    if let norm, norm.hasGain {
      tensors += zip(Mamba.norms, [stepSize, stateSize, stateSize]).map { PartTensor($0, [$1], .norm) }
    }
    return tensors + [
      PartTensor(.stateStep, [innerSize, stepSize], .control), PartTensor(.decayRate, [innerSize * stateSize], .vector),
      PartTensor(.skip, [innerSize], .vector), PartTensor(.mixerOutput, [width, innerSize], .mixer),
    ]
  }

  public var linears: [(layer: Layer, input: Site)] {
    [
      (Layer(.stateValue), .mixerInput), (Layer(.stateGate), .mixerInput), (Layer(.stateStepInput), .mixerConvolved),
      (Layer(.stateInput), .mixerConvolved), (Layer(.stateOutput), .mixerConvolved), (Layer(.stateStep), .mixerStep),
      (Layer(.mixerOutput), .mixerOutput),
    ]
  }

  public var inputSites: [Site] { [.mixerInput] }

  public var mixesTokens: Bool { true }

  // MARK: Forward pass

  public func run(_ entered: Matrix, in context: any BlockContext) -> Matrix? {
    var input = entered
    context.pass(&input, through: .mixerInput)
    var gate = context.linear(Layer(.stateGate), input)
    var convolved = context.convolved(context.linear(Layer(.stateValue), input), size: kernelSize)
    Activation.silu.apply(&convolved, parallel: context.parallel)
    context.pass(&convolved, through: .mixerConvolved)
    let inputs: [TensorRole] = [.stateStepInput, .stateInput, .stateOutput]
    var parts = inputs.map { context.linear(Layer($0), convolved) }
    if let norm {
      for (index, role) in Mamba.norms.enumerated() {
        parts[index].normaliseGroups(norm, gain: context.vector(role), size: parts[index].columns, context.parallel)
      }
    }
    context.pass(&parts[0], through: .mixerStep)
    let result = scan(convolved, context.linear(Layer(.stateStep), parts[0]), takeIn: parts[1], giveOut: parts[2], context)
    Activation.silu.gate(&gate, by: result, parallel: context.parallel)
    context.pass(&gate, through: .mixerOutput)
    return context.isOutputWanted ? context.linear(Layer(.mixerOutput), gate) : nil
  }

  /// Channels that run together.
  private static let pieceChannels = 64

  /// Runs every channel of every sequence through its tokens.
  /// - Parameters:
  ///   - steps: `[tokens, channels]`, with their bias.
  ///   - takeIn: B, `[tokens, stateSize]`.
  ///   - giveOut: C, the same.
  private func scan(_ x: Matrix, _ steps: Matrix, takeIn: Matrix, giveOut: Matrix, _ context: any BlockContext) -> Matrix {
    let rows = context.sequences
    let rates = context.vector(.decayRate) ?? [], skips = context.vector(.skip) ?? []
    let states = RecurrentStates(context, rows: x.rows, size: innerSize * stateSize)
    let (width, size) = (innerSize, stateSize)
    let pieces = (width + Mamba.pieceChannels - 1) / Mamba.pieceChannels
    var result = Matrix(rows: x.rows, columns: width)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      context.parallel.forEach(states.count * pieces) { index in
        let (sequence, piece) = index.quotientAndRemainder(dividingBy: pieces)
        let channels = piece * Mamba.pieceChannels..<min(width, (piece + 1) * Mamba.pieceChannels)
        let state = states.base(sequence)
        for row in sequence * rows.length..<(sequence + 1) * rows.length {
          for c in channels {
            let value = x[row, c], step = steps[row, c].softplus
            var y = skips[c] * value
            for n in 0..<size {
              let at = c * size + n
              state[at] = state[at] * (step * rates[at]).exponential + step * value * takeIn[row, n]
              y += giveOut[row, n] * state[at]
            }
            target.base[row * width + c] = y
          }
        }
      }
    }
    states.keep(in: context)
    return result
  }
}
