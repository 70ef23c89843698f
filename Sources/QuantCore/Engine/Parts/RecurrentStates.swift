import QuantPlatform

/// The states of a recurrent part: one for each sequence that runs, from zeros or from what was kept of earlier tokens.
final class RecurrentStates: @unchecked Sendable {
  // Unchecked: each piece of work uses its own part of one state.
  /// Number of sequences.
  let count: Int
  private let size: Int
  private let scratch: AlignedScratch

  /// - Parameters:
  ///   - rows: of all sequences together.
  ///   - size: values of one state.
  init(_ context: any BlockContext, rows: Int, size: Int) {
    self.size = size
    count = rows / context.sequences.length
    scratch = AlignedScratch(count: count * size)
    scratch.base.update(repeating: 0, count: count * size)
    if let kept = context.cache?[RecurrentStates.name], kept.count == size { scratch.base.update(from: kept, count: size) }
  }

  private static let name = "state"

  /// The state of a sequence.
  func base(_ sequence: Int) -> UnsafeMutablePointer<Float> { scratch.base + sequence * size }

  /// Keeps the state for later tokens, if a single sequence runs step by step.
  func keep(in context: any BlockContext) {
    context.cache?.replace(RecurrentStates.name, by: Array(UnsafeBufferPointer(start: scratch.base, count: size)))
  }
}

extension Matrix {
  /// Normalizes every `size` channels of each row separately by the root of their mean square; the gain has one value for each channel of
  /// a row, or of a group.
  mutating func normaliseGroups(_ norm: Norm, gain: [Float]?, size: Int, _ parallel: Parallel) {
    let gain = gain ?? [Float](repeating: 1, count: size)
    let width = columns, period = max(1, gain.count)
    values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      gain.withUnsafeBufferPointer { gain in
        guard let gain = gain.baseAddress else { return }
        let gains = SharedPointer(UnsafeMutablePointer(mutating: gain))
        parallel.forEachRange(buffer.count / max(1, width), piece: 64) { piece in
          for row in piece {
            for start in stride(from: 0, to: width, by: size) {
              let x = target.base + row * width + start
              VectorKernels.rootMeanSquareNorm(
                x, gain: gains.base + start % period, epsilon: Float(norm.epsilon), count: size, into: x)
            }
          }
        }
      }
    }
  }
}
