/// The forward pass through one block: norm, attention, residual, norm, gated feed-forward layer, residual.
struct BlockPass {
  /// Tokens whose intermediate results are in memory at one time (a longer sequence counts whole in the attention).
  static let chunkTokens = 2048

  let block: BlockWorkspace
  let parallel: Parallel
  /// Sees what flows into the linear layers.
  let observer: (any SiteObserver)?
  /// Changes it; nil: exact activations.
  let rounding: (any SiteRounding)?
  /// Of the products with weights.
  var precision = ProductPrecision.f32
  /// Whether the pass ends at the last site, because nobody wants what is behind it.
  var onlyObserves = false
  private var parameters: HyperParameters { block.model.parameters }

  init(_ block: BlockWorkspace, parallel: Parallel, observer: (any SiteObserver)? = nil, rounding: (any SiteRounding)? = nil) {
    self.block = block
    self.parallel = parallel
    self.observer = observer
    self.rounding = rounding
  }

  /// Values on their way through a site: observed as they are, then rounded where that is simulated.
  private func pass(_ x: inout Matrix, through site: Site) {
    if let observer { x.withPanel { observer.observe(site, $0) } }
    guard let rounding else { return }
    let (rows, columns) = (x.rows, x.columns)
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      rounding.round(site, block: block.index, base, rows: rows, columns: columns, parallel: parallel)
    }
  }

  // MARK: Attention

  /// Attention of whole sequences, added to their rows of `hidden`.
  func attend(
    _ hidden: inout Matrix, rows: Range<Int>, sequenceLength: Int, table: RotaryTable
  ) {
    var normed = norm(hidden, rows: rows, .attentionNorm)
    pass(&normed, through: .attentionInput)
    var (queries, keys, values) = project(normed)
    prepareHeads(&queries, norm: .queryNorm, table: table) { $0 % sequenceLength }
    prepareHeads(&keys, norm: .keyNorm, table: table) { $0 % sequenceLength }
    pass(&keys, through: .keys)
    pass(&values, through: .values)
    var mixed = Matrix(rows: rows.count, columns: queries.columns)
    mixed.withPointers(queries, keys.values, values.values) { result, queries, keys, values in
      let queryStep = sequenceLength * parameters.headCount * parameters.headSize
      let keyStep = sequenceLength * parameters.keyValueHeadCount * parameters.headSize
      let sequences = (0..<rows.count / sequenceLength).map { index in
        Attention.Sequence(
          queries: queries + index * queryStep, keys: keys + index * keyStep, values: values + index * keyStep,
          result: result + index * queryStep, first: 0, count: sequenceLength)
      }
      Attention(parameters).run(sequences, parallel: parallel)
    }
    pass(&mixed, through: .attentionOutput)
    add(linear(.attentionOutput, mixed), to: &hidden, rows: rows)
  }

  /// Attention of the next tokens of one sequence, whose keys and values are appended to the cache.
  func attend(_ hidden: inout Matrix, cache: inout KeyValueCache) {
    let rows = 0..<hidden.rows
    let width = parameters.keyValueHeadCount * parameters.headSize
    let first = cache.keys.count / max(1, width)
    let table = parameters.rope.table(positions: first..<first + rows.count)
    var normed = norm(hidden, rows: rows, .attentionNorm)
    pass(&normed, through: .attentionInput)
    var (queries, keys, values) = project(normed)
    prepareHeads(&queries, norm: .queryNorm, table: table) { first + $0 }
    prepareHeads(&keys, norm: .keyNorm, table: table) { first + $0 }
    pass(&keys, through: .keys)
    pass(&values, through: .values)
    cache.keys += keys.values
    cache.values += values.values
    var mixed = Matrix(rows: rows.count, columns: queries.columns)
    mixed.withPointers(queries, cache.keys, cache.values) { result, queries, keys, values in
      let sequence = Attention.Sequence(
        queries: queries, keys: keys, values: values, result: result, first: first, count: rows.count)
      Attention(parameters).run([sequence], parallel: parallel)
    }
    pass(&mixed, through: .attentionOutput)
    add(linear(.attentionOutput, mixed), to: &hidden, rows: rows)
  }

  private func project(_ normed: Matrix) -> (queries: Matrix, keys: Matrix, values: Matrix) {
    (linear(.query, normed), linear(.key, normed), linear(.value, normed))
  }

  /// Normalises every head where the model does, and turns it to its position.
  private func prepareHeads(_ x: inout Matrix, norm role: TensorRole, table: RotaryTable, position: @Sendable (Int) -> Int) {
    let gain = block.vectors[TensorID(role, block: block.index)]
    let size = parameters.headSize
    let epsilon = Float(parameters.normEpsilon)
    let width = x.columns
    let rows = x.rows
    x.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(rows, piece: 64) { piece in
        for row in piece {
          for start in stride(from: 0, to: width, by: size) {
            let head = target.base + row * width + start
            if let gain { VectorKernels.rootMeanSquareNorm(head, gain: gain, epsilon: epsilon, count: size, into: head) }
            table.rotate(head, position: position(row))
          }
        }
      }
    }
  }

  // MARK: Feed-forward

  /// The gated feed-forward layer, added to `hidden`.
  func feedForward(_ hidden: inout Matrix) {
    for first in stride(from: 0, to: hidden.rows, by: BlockPass.chunkTokens) {
      let rows = first..<min(hidden.rows, first + BlockPass.chunkTokens)
      var normed = norm(hidden, rows: rows, .feedForwardNorm)
      pass(&normed, through: .feedForwardInput)
      var gated = linear(.gate, normed)
      let up = linear(.up, normed)
      multiplyGate(&gated, by: up)
      pass(&gated, through: .feedForwardOutput)
      if onlyObserves { continue }
      add(linear(.down, gated), to: &hidden, rows: rows)
    }
  }

  private func multiplyGate(_ gate: inout Matrix, by up: Matrix) {
    gate.values.withUnsafeMutableBufferPointer { gate in
      up.values.withUnsafeBufferPointer { up in
        guard let base = gate.baseAddress, let factor = up.baseAddress else { return }
        let target = SharedPointer(base)
        let source = SharedPointer(UnsafeMutablePointer(mutating: factor))
        parallel.forEachRange(gate.count, piece: 1 << 16) { piece in
          VectorKernels.siluProduct(target.base + piece.lowerBound, source.base + piece.lowerBound, count: piece.count)
        }
      }
    }
  }

  // MARK: Parts

  private func norm(_ hidden: Matrix, rows: Range<Int>, _ role: TensorRole) -> Matrix {
    let gain = block.vectors[TensorID(role, block: block.index)] ?? []
    return BlockPass.norm(hidden, rows: rows, gain: gain, parameters: parameters, parallel: parallel)
  }

  /// Root-mean-square norm of some rows.
  static func norm(_ x: Matrix, rows: Range<Int>, gain: [Float], parameters: HyperParameters, parallel: Parallel) -> Matrix {
    precondition(gain.count == x.columns, "a norm has one gain per channel")
    let width = x.columns
    let epsilon = Float(parameters.normEpsilon)
    var result = Matrix(rows: rows.count, columns: width)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(rows.count, piece: 64) { piece in
        x.withPanel(rows: rows) { panel in
          for i in piece {
            VectorKernels.rootMeanSquareNorm(
              panel.row(i), gain: gain, epsilon: epsilon, count: width, into: target.base + i * width)
          }
        }
      }
    }
    return result
  }

  /// A linear layer with its bias, if it has one.
  private func linear(_ layer: Layer, _ x: Matrix) -> Matrix {
    guard let matrix = block.matrices[layer] else { return Matrix(rows: x.rows, columns: 0) }
    var result = Matrix.multiplyTransposed(x, matrix, precision: precision, parallel: parallel)
    guard let bias = block.vectors[TensorID(layer, block: block.index, isBias: true)] else { return result }
    let width = result.columns
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for row in 0..<x.rows { VectorKernels.axpy(1, bias, base + row * width, count: width) }
    }
    return result
  }

  private func add(_ x: Matrix, to hidden: inout Matrix, rows: Range<Int>) {
    let start = rows.lowerBound * hidden.columns
    hidden.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      VectorKernels.axpy(1, x.values, base + start, count: x.values.count)
    }
  }
}

extension Matrix {
  /// Calls `body` with pointers to this matrix (to be written) and three inputs.
  fileprivate mutating func withPointers(
    _ a: Matrix, _ b: [Float], _ c: [Float],
    _ body: (UnsafeMutablePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
  ) {
    values.withUnsafeMutableBufferPointer { target in
      a.values.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
          c.withUnsafeBufferPointer { c in
            guard let target = target.baseAddress, let a = a.baseAddress, let b = b.baseAddress, let c = c.baseAddress else { return }
            body(target, a, b, c)
          }
        }
      }
    }
  }
}
