/// The forward pass through one block: attention and feed-forward layer, each with its norm and residual connection.
struct BlockPass {
  /// Tokens whose intermediate results are in memory at one time (a longer sequence counts whole in the attention).
  static let chunkTokens = 2048

  let block: BlockWorkspace
  let parallel: Parallel
  /// Sees what flows into the linear layers.
  let observer: (any SiteObserver)?
  /// What is rounded on the way; nil: nothing.
  let simulation: Simulation?
  /// Of the products with weights.
  var precision = ProductPrecision.f32
  /// Whether the pass ends at the last site, because nobody wants what is behind it.
  var onlyObserves = false
  private var parameters: HyperParameters { block.model.parameters }

  init(_ block: BlockWorkspace, parallel: Parallel, observer: (any SiteObserver)? = nil, simulation: Simulation? = nil) {
    self.block = block
    self.parallel = parallel
    self.observer = observer
    self.simulation = simulation
  }

  /// Values on their way through a site: observed as they are; keys and values are then rounded where that is simulated, the
  /// inputs of linear layers by each layer for itself.
  private func pass(_ x: inout Matrix, through site: Site) {
    if let observer { x.withPanel { observer.observe(site, $0) } }
    simulation?.round(&x, at: site, block: block.index, parallel: parallel)
  }

  // MARK: Norms and residuals

  /// What a half of the block reads: the normed hidden states, or these themselves where the norm stands behind.
  private func enter(_ hidden: Matrix, rows: Range<Int>, _ role: TensorRole) -> Matrix {
    parameters.normPlacement == .before ? norm(hidden, rows: rows, role) : hidden.rows(rows)
  }

  /// Adds what a half of the block computed to the residual.
  private func leave(_ result: Matrix, entered: Matrix, hidden: inout Matrix, rows: Range<Int>, _ role: TensorRole) {
    if parameters.keepsNormedResidual { hidden.replace(rows, by: entered) }
    hidden.add(result, at: rows)
    if parameters.normPlacement == .after { hidden.replace(rows, by: norm(hidden, rows: rows, role)) }
  }

  private func norm(_ hidden: Matrix, rows: Range<Int>, _ role: TensorRole) -> Matrix {
    let gain = block.vectors[TensorID(role, block: block.index)] ?? []
    let bias = block.vectors[TensorID(role, block: block.index, isBias: true)]
    var layer = NormLayer(parameters, gain: gain, bias: bias)
    layer.precision = precision
    return layer(hidden, rows: rows, parallel: parallel)
  }

  // MARK: Attention

  /// Attention of whole sequences, added to their rows of `hidden`.
  func attend(_ hidden: inout Matrix, rows: Range<Int>, sequenceLength: Int, table: RotaryTable?) {
    let entered = enter(hidden, rows: rows, .attentionNorm)
    let (queries, keys, values) = project(entered, table: table) { $0 % sequenceLength }
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
    leave(linear(.attentionOutput, mixed), entered: entered, hidden: &hidden, rows: rows, .attentionNorm)
  }

  /// Attention of the next tokens of one sequence, whose keys and values are appended to the cache.
  func attend(_ hidden: inout Matrix, cache: inout KeyValueCache) {
    let rows = 0..<hidden.rows
    let width = parameters.keyValueHeadCount * parameters.headSize
    let first = cache.keys.count / max(1, width)
    let entered = enter(hidden, rows: rows, .attentionNorm)
    let table = parameters.rotaryTable(positions: first..<first + rows.count)
    let (queries, keys, values) = project(entered, table: table) { first + $0 }
    cache.keys += keys.values
    cache.values += values.values
    var mixed = Matrix(rows: rows.count, columns: queries.columns)
    mixed.withPointers(queries, cache.keys, cache.values) { result, queries, keys, values in
      let sequence = Attention.Sequence(
        queries: queries, keys: keys, values: values, result: result, first: first, count: rows.count)
      Attention(parameters).run([sequence], parallel: parallel)
    }
    pass(&mixed, through: .attentionOutput)
    leave(linear(.attentionOutput, mixed), entered: entered, hidden: &hidden, rows: rows, .attentionNorm)
  }

  /// Queries and keys, turned to their positions, and values.
  private func project(
    _ entered: Matrix, table: RotaryTable?, position: @Sendable (Int) -> Int
  ) -> (queries: Matrix, keys: Matrix, values: Matrix) {
    var input = entered
    pass(&input, through: .attentionInput)
    var (queries, keys, values) = (linear(.query, input), linear(.key, input), linear(.value, input))
    prepareHeads(&queries, norm: .queryNorm, table: table, position: position)
    prepareHeads(&keys, norm: .keyNorm, table: table, position: position)
    pass(&keys, through: .keys)
    pass(&values, through: .values)
    return (queries, keys, values)
  }

  /// Normalises every head where the model does, and turns it to its position.
  private func prepareHeads(_ x: inout Matrix, norm role: TensorRole, table: RotaryTable?, position: @Sendable (Int) -> Int) {
    let gain = block.vectors[TensorID(role, block: block.index)]
    guard gain != nil || table != nil else { return }
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
            table?.rotate(head, position: position(row))
          }
        }
      }
    }
  }

  // MARK: Feed-forward

  /// The feed-forward layer, or the experts that tokens are sent to, added to `hidden`.
  func feedForward(_ hidden: inout Matrix) {
    for first in stride(from: 0, to: hidden.rows, by: BlockPass.chunkTokens) {
      let rows = first..<min(hidden.rows, first + BlockPass.chunkTokens)
      let entered = enter(hidden, rows: rows, .feedForwardNorm)
      let result: Matrix?
      if parameters.expertCount > 0 {
        result = mixture(entered)
      } else {
        var input = entered
        pass(&input, through: .feedForwardInput)
        result = transform(input, expert: nil, output: .feedForwardOutput)
      }
      if let result { leave(result, entered: entered, hidden: &hidden, rows: rows, .feedForwardNorm) }
    }
  }

  /// From the input of one feed-forward layer to its output; nil where nobody wants it.
  private func transform(_ input: Matrix, expert: Int?, output: Site) -> Matrix? {
    var inner = linear(Layer(parameters.isGated ? .gate : .up, expert: expert), input)
    if parameters.isGated {
      parameters.activation.gate(&inner, by: linear(Layer(.up, expert: expert), input), parallel: parallel)
    } else {
      parameters.activation.apply(&inner, parallel: parallel)
    }
    pass(&inner, through: output)
    return onlyObserves ? nil : linear(Layer(.down, expert: expert), inner)
  }

  /// Every token through the experts that the router chooses for it. Experts come in order, and each sees its tokens in order.
  private func mixture(_ entered: Matrix) -> Matrix? {
    var input = entered
    pass(&input, through: .feedForwardInput)
    let routes = Routing(scores: linear(.router, input), expertsPerToken: parameters.expertsPerToken)
    var result = Matrix(rows: entered.rows, columns: entered.columns)
    for expert in 0..<parameters.expertCount {
      let visits = routes.visits(of: expert)
      if visits.isEmpty { continue }
      var gathered = entered.rows(visits.map { $0.token })
      pass(&gathered, through: .expertInput(expert))
      guard let output = transform(gathered, expert: expert, output: .expertOutput(expert)) else { continue }
      for (row, visit) in visits.enumerated() { result.add(output, row: row, times: visit.weight, at: visit.token) }
    }
    return onlyObserves ? nil : result
  }

  // MARK: Linear layers

  /// A linear layer with its bias, if it has one.
  private func linear(_ layer: Layer, _ x: Matrix) -> Matrix {
    guard let matrix = block.matrices[layer] else { return Matrix(rows: x.rows, columns: 0) }
    let input = simulation?.input(x, of: TensorID(layer, block: block.index), parallel: parallel) ?? x
    var result = Matrix.multiplyTransposed(input, matrix, precision: precision, parallel: parallel)
    guard let bias = block.vectors[TensorID(layer, block: block.index, isBias: true)] else { return result }
    let width = result.columns
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      for row in 0..<x.rows { VectorKernels.axpy(1, bias, base + row * width, count: width) }
    }
    return result
  }
}

extension Matrix {
  fileprivate func rows(_ range: Range<Int>) -> Matrix {
    Matrix(rows: range.count, columns: columns, values: Array(values[range.lowerBound * columns..<range.upperBound * columns]))
  }

  fileprivate func rows(_ chosen: [Int]) -> Matrix {
    Matrix(rows: chosen.count, columns: columns, values: chosen.flatMap { values[$0 * columns..<($0 + 1) * columns] })
  }

  fileprivate mutating func replace(_ rows: Range<Int>, by other: Matrix) {
    let start = rows.lowerBound * columns
    for i in other.values.indices { values[start + i] = other.values[i] }
  }

  fileprivate mutating func add(_ x: Matrix, at rows: Range<Int>) {
    let start = rows.lowerBound * columns
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { VectorKernels.axpy(1, x.values, base + start, count: x.values.count) }
    }
  }

  fileprivate mutating func add(_ x: Matrix, row: Int, times factor: Float, at target: Int) {
    for c in 0..<columns { values[target * columns + c] += factor * x.values[row * columns + c] }
  }

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
