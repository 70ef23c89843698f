import QuantPlatform

extension TensorRole {
  /// The kernel of a causal convolution, `[channels, size]` as one vector, and its bias.
  public static let convolution = TensorRole("convolution")
  public static let convolutionBias = TensorRole("convolutionBias")
}

/// A convolution over the tokens of a sequence, channel by channel: every token mixes its own value with those of the few tokens before
/// it. Before the first token, values are 0.
struct CausalConvolution: Sendable {
  /// Channels of a token.
  let channels: Int
  /// Tokens that a position mixes, its own included.
  let size: Int
  /// `[size, channels]`: the last row weighs the token itself.
  private let weights: [Float]
  private let bias: [Float]

  /// - Parameters:
  ///   - kernel: `[channels, size]`.
  ///   - bias: one value per channel; nil: none.
  init(_ kernel: [Float], bias: [Float]?, channels: Int, size: Int) {
    self.channels = channels
    self.size = size
    var weights = [Float](repeating: 0, count: channels * size)
    for c in 0..<channels {
      for k in 0..<size where c * size + k < kernel.count { weights[k * channels + c] = kernel[c * size + k] }
    }
    self.weights = weights
    self.bias = bias ?? [Float](repeating: 0, count: channels)
  }

  /// The convolution of whole sequences, or of the next tokens of one.
  /// - Parameters:
  ///   - x: `[tokens, channels]`.
  ///   - history: the `size - 1` rows before the first of `x`; empty: zeros.
  func callAsFunction(_ x: Matrix, history: [Float], _ rows: SequenceRows, parallel: Parallel) -> Matrix {
    Matrix(rows: x.rows, columns: channels) { base in
      let target = SharedPointer(base)
      parallel.forEachRange(x.rows, piece: 64) { piece in
        x.withPanel { panel in
          for row in piece { convolve(row, panel, history, rows, into: target.base + row * channels) }
        }
      }
    }
  }

  private func convolve(
    _ row: Int, _ x: Panel, _ history: [Float], _ rows: SequenceRows, into result: UnsafeMutablePointer<Float>
  ) {
    result.update(from: bias, count: channels)
    let token = row % rows.length
    for k in 0..<size {
      let back = size - 1 - k
      weights.withUnsafeBufferPointer { weights in
        guard let weights = weights.baseAddress else { return }
        if back <= token {
          multiplyAdd(weights + k * channels, x.row(row - back), into: result)
        } else if !history.isEmpty {
          history.withUnsafeBufferPointer { history in
            guard let history = history.baseAddress else { return }
            multiplyAdd(weights + k * channels, history + (size - 1 + token - back) * channels, into: result)
          }
        }
      }
    }
  }

  private func multiplyAdd(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, into result: UnsafeMutablePointer<Float>) {
    for c in 0..<channels { result[c] += a[c] * b[c] }
  }

  /// The rows to keep for the tokens after `x`.
  func history(after x: Matrix, _ history: [Float]) -> [Float] {
    let kept = (size - 1) * channels
    let before = history.isEmpty ? [Float](repeating: 0, count: kept) : history
    return Array((before + x.values).suffix(kept))
  }
}

extension BlockContext {
  /// Convolves the values of tokens with the kernel of the block, and keeps what later tokens need.
  /// - Parameter kernels: of channels one after another.
  func convolved(_ x: Matrix, size: Int, kernels: [TensorRole] = [.convolution]) -> Matrix {
    let convolution = CausalConvolution(
      kernels.flatMap { vector($0) ?? [] }, bias: vector(.convolutionBias), channels: x.columns, size: size)
    let history = cache?["convolution"] ?? []
    cache?.replace("convolution", by: convolution.history(after: x, history))
    return convolution(x, history: history, sequences, parallel: parallel)
  }
}

extension Matrix {
  /// Some columns of every row.
  func columns(_ range: Range<Int>) -> Matrix {
    var result = Matrix(rows: rows, columns: range.count)
    for row in 0..<rows {
      for (c, column) in range.enumerated() { result.values[row * range.count + c] = values[row * columns + column] }
    }
    return result
  }

  /// The rows of several matrices side by side.
  static func sideBySide(_ parts: [Matrix]) -> Matrix {
    let width = parts.reduce(0) { $0 + $1.columns }
    var result = Matrix(rows: parts.first?.rows ?? 0, columns: width)
    var first = 0
    for part in parts {
      for row in 0..<part.rows {
        for c in 0..<part.columns { result.values[row * width + first + c] = part.values[row * part.columns + c] }
      }
      first += part.columns
    }
    return result
  }
}
