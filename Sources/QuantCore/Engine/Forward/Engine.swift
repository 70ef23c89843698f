import QuantPlatform

/// Runs a decoder or an encoder on a CPU, one block at a time, in 32-bit floats.
///
/// The caller loads and frees blocks, so memory holds one block of weights, the hidden states that the caller keeps, and scratch
/// space for a few thousand tokens. Results do not depend on the number of threads, and the results for a token do not depend on
/// what else is in the batch.
public struct Engine: Sendable {
  /// The model that is run.
  public let model: ModelDescription
  /// The threads to use.
  public let parallel: Parallel
  /// What is rounded during the forward pass; nil: the engine computes with exact activations and the stored weights.
  public var simulation: Simulation?
  /// Precision of the products with weights when whole sequences run.
  public private(set) var precision = ProductPrecision.f32
  package let weights: ModelWeights
  private let embeddingNorm: NormLayer?
  private let outputNorm: NormLayer?
  private let inputProjection: Matrix?
  private let outputProjection: Matrix?
  private let outputBias: [Float]?
  private let blockNorm: NormLayer?
  private let lanes: LaneProjections?

  /// Finds the model's tensors. Reads only the norms and projections outside of the blocks.
  /// - Throws: `Failure` `model.not-computed`, `model.tensor-missing`, `model.tensor-shape` or `model.tensor-type`.
  public init(_ checkpoint: Checkpoint, model: ModelDescription, parallel: Parallel) throws(Failure) {
    if let uncomputed = model.uncomputed {
      throw Failure(
        .unsupported, "model.not-computed", "\(uncomputed) cannot be computed", file: checkpoint.path,
        remedy: "Convert it without calibration, or with importance that another program measured (\(setting: "importance") FILE).")
    }
    self.model = model
    self.parallel = parallel
    weights = try ModelWeights(checkpoint, model: model)
    let weights = weights
    func layer(_ norm: Norm?, width: Int) -> NormLayer? {
      norm.map {
        NormLayer($0, gain: weights.vector(TensorID($0.role)), bias: weights.vector(TensorID($0.role, isBias: true)), width: width)
      }
    }
    embeddingNorm = layer(model.embedding.norm, width: model.hiddenSize)
    outputNorm = layer(model.head.norm, width: model.hiddenSize)
    inputProjection = weights.matrix(TensorID(.inputProjection), parallel: parallel)
    outputProjection = weights.matrix(TensorID(.outputProjection), parallel: parallel)
    outputBias = model.head.hasBias ? weights.vector(TensorID(.output, isBias: true)) : nil
    blockNorm = layer(model.embedding.perBlock?.norm, width: model.embedding.perBlock?.width ?? 0)
    lanes = model.embedding.lanes.map { LaneProjections($0, weights, parallel: parallel) }
  }

  /// The same engine with another precision.
  public func with(precision: ProductPrecision) -> Engine {
    var engine = self
    engine.precision = precision
    return engine
  }

  /// Hidden states before the first block, and what else flows from block to block: `[tokens, stateWidth]`.
  /// - Parameters:
  ///   - tokens: whole sequences, one after another.
  ///   - sequenceLength: tokens of one sequence.
  ///   - first: position of the first token of each sequence.
  /// - Throws: `Failure` `model.token-range` for an id outside the vocabulary, `model.position-range` for a position after the
  ///   last one that the model has learned.
  public func embed(_ tokens: [Int], sequenceLength: Int, first: Int = 0) throws(Failure) -> Matrix {
    if let bad = tokens.first(where: { !(0..<model.vocabularySize).contains($0) }) {
      throw Failure(
        .data, "model.token-range", "token \(bad) is outside the vocabulary of \(model.vocabularySize)",
        remedy: "Use the tokenizer that belongs to the model.")
    }
    if model.embedding.positionOffset != nil { try model.checkPositions(first + min(tokens.count, sequenceLength)) }
    var hidden = states(tokens, sequenceLength: sequenceLength, first: first)
    guard var columns = CarriedColumns(of: model, beside: hidden) else { return hidden }
    columns.set(.token, 0..<tokens.count, Matrix(rows: tokens.count, columns: 1, values: tokens.map { Float($0) }))
    if let lanes {
      let all = lanes.spread(hidden)
      columns.set(lanes.lanes.value, 0..<tokens.count, all)
      hidden = all.selecting(columns: lanes.lanes.columns(lanes.lanes.active))
    }
    columns.join(to: &hidden)
    return hidden
  }

  /// Hidden states of known tokens before the first block.
  private func states(_ tokens: [Int], sequenceLength: Int, first: Int) -> Matrix {
    let embedding = model.embedding
    let table = TensorID(.tokenEmbedding)
    var hidden = rows(tokens, of: table, columns: embedding.width)
    if embedding.scale != 1 { for i in hidden.values.indices { hidden.values[i] *= embedding.scale } }
    if let inputProjection { hidden = Matrix.multiplyTransposed(hidden, inputProjection, parallel: parallel) }
    if let offset = embedding.positionOffset {
      let positions = TensorID(.positionEmbedding)
      let added = rows(tokens.indices.map { offset + first + $0 % sequenceLength }, of: positions, columns: hidden.columns)
      for i in hidden.values.indices { hidden.values[i] += added.values[i] }
    }
    if embedding.tokenTypes != nil {
      let added = rows([0], of: TensorID(.tokenTypeEmbedding), columns: hidden.columns).values
      for i in hidden.values.indices { hidden.values[i] += added[i % hidden.columns] }
    }
    return embeddingNorm?(hidden, rows: 0..<hidden.rows, parallel: parallel) ?? hidden
  }

  /// What the embedding gives a block of some tokens, `[tokens, channels]`.
  private func blockEmbedding(_ tokens: [Int], block: Int, _ embedding: BlockEmbedding) -> Matrix {
    let range = block * embedding.width..<(block + 1) * embedding.width
    let count = model.blocks.count * embedding.width
    var projection = Matrix(rows: embedding.width, columns: model.hiddenSize)
    projection.values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { weights.decode(TensorID(.blockEmbeddingProjection), rows: range, into: base) }
    }
    var result = Matrix.multiplyTransposed(states(tokens, sequenceLength: max(1, tokens.count), first: 0), projection, parallel: parallel)
    for i in result.values.indices { result.values[i] *= embedding.projectionScale }
    result = blockNorm?(result, rows: 0..<result.rows, parallel: parallel) ?? result
    for first in stride(from: 0, to: tokens.count, by: 64) {
      let chosen = tokens[first..<min(tokens.count, first + 64)].map { $0 < embedding.rows ? $0 : 0 }
      let own = rows(chosen, of: TensorID(.blockEmbedding), columns: count).selecting(columns: range)
      for (i, value) in own.values.enumerated() {
        let at = first * embedding.width + i
        result.values[at] = (result.values[at] + value * embedding.scale) * embedding.sumScale
      }
    }
    return result
  }

  /// Some rows of a table.
  private func rows(_ chosen: [Int], of table: TensorID, columns: Int) -> Matrix {
    var result = Matrix(rows: chosen.count, columns: columns)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(chosen.count, piece: 64) { piece in
        for i in piece { weights.decode(table, rows: chosen[i]..<chosen[i] + 1, into: target.base + i * columns) }
      }
    }
    return result
  }

  /// The weights of one block, decoded, in the model's row order.
  public func loadBlock(_ index: Int) -> BlockWorkspace {
    var matrices: [Layer: Matrix] = [:]
    var vectors: [TensorID: [Float]] = [:]
    for tensor in model.tensors where tensor.id.block == index {
      if tensor.shape.count == 2 {
        let matrix = weights.matrix(tensor.id, parallel: parallel)
        matrices[tensor.id.layer] = simulation?.weights[tensor.id].flatMap { matrix?.rounded(to: $0, parallel: parallel) } ?? matrix
      } else {
        vectors[tensor.id] = weights.vector(tensor.id)
      }
    }
    return BlockWorkspace(index: index, model: model, matrices: matrices, vectors: vectors, statistics: [:], parallel: parallel)
  }

  /// The matrix that makes logits: the output matrix, or the embedding if the two are tied; nil for an encoder.
  package var head: TensorID? {
    guard model.head.pooling == nil else { return nil }
    return weights.contains(TensorID(.output)) && !model.head.isTied ? TensorID(.output) : TensorID(.tokenEmbedding)
  }

  /// What the model computes of hidden states after the last block: logits or, as an encoder, the states after the norm that follows.
  public func outputs(_ hidden: Matrix) -> Matrix { model.head.pooling == nil ? logits(hidden) : normed(hidden) }

  private func normed(_ flowing: Matrix) -> Matrix {
    var hidden = flowing
    if let columns = CarriedColumns(of: model, splitFrom: &hidden), let lanes {
      hidden = lanes.merged(columns[lanes.lanes.value, 0..<hidden.rows])
    }
    return outputNorm?(hidden, rows: 0..<hidden.rows, parallel: parallel) ?? hidden
  }

  /// One vector for each of some sequences, `[sequences, hidden]`.
  /// - Parameters:
  ///   - hidden: after the last block, one sequence after another.
  ///   - pooling: how the vector is made.
  public func pooled(_ hidden: Matrix, sequenceLength: Int, by pooling: HeadDescription.Pooling) -> Matrix {
    let states = normed(hidden)
    let (count, width) = (hidden.rows / max(1, sequenceLength), hidden.columns)
    var result = Matrix(rows: count, columns: width)
    for sequence in 0..<count {
      let first = sequence * sequenceLength
      for c in 0..<width {
        switch pooling {
        case .cls: result[sequence, c] = states[first, c]
        case .last: result[sequence, c] = states[first + sequenceLength - 1, c]
        case .mean:
          let sum = (first..<first + sequenceLength).reduce(0.0) { $0 + Double(states[$1, c]) }
          result[sequence, c] = Float(sum / Double(sequenceLength))
        }
      }
    }
    return result
  }

  /// What the output matrix reads, of hidden states after the last block: `[rows, width of the embedding]`.
  func headInputs(_ hidden: Matrix) -> Matrix {
    let normed = normed(hidden)
    return outputProjection.map { Matrix.multiplyTransposed(normed, $0, parallel: parallel) } ?? normed
  }

  /// Logits `[rows, vocabulary]` of hidden states after the last block. The caller limits the number of rows.
  /// - Precondition: the model makes logits.
  public func logits(_ hidden: Matrix) -> Matrix {
    let rows = hidden.rows
    let width = model.embedding.width
    let vocabulary = model.vocabularySize
    // No input reaches this: `Evaluation` and `Generator` refuse encoders (`checkLogits`), and everything else asks for `outputs`.
    guard let head else { preconditionFailure("an encoder makes no logits") }
    var normed = headInputs(hidden)
    if let simulation { normed = simulation.input(normed, of: head, parallel: parallel) }
    var result = Matrix(rows: rows, columns: vocabulary)
    // The output matrix is decoded in pieces right before use, because it is often larger than a block.
    let pieceRows = max(1, min(vocabulary, (8 << 20) / max(1, width)))
    let piece = AlignedScratch(count: pieceRows * width)
    result.values.withUnsafeMutableBufferPointer { target in
      normed.values.withUnsafeBufferPointer { source in
        guard let target = target.baseAddress, let source = source.baseAddress else { return }
        for first in stride(from: 0, to: vocabulary, by: pieceRows) {
          let tokens = first..<min(vocabulary, first + pieceRows)
          let decoded = SharedPointer(piece.base)
          parallel.forEachRange(tokens.count, piece: 256) { part in
            weights.decode(
              head, rows: first + part.lowerBound..<first + part.upperBound, into: decoded.base + part.lowerBound * width)
          }
          LinearAlgebra.Product(
            a: LinearAlgebra.Operand(base: source, stride: width, isDepthContiguous: true),
            b: LinearAlgebra.Operand(base: piece.base, stride: width, isDepthContiguous: true), m: rows, n: tokens.count, k: width
          ).run(into: target + first, stride: vocabulary, parallel: parallel)
        }
      }
    }
    if let outputBias { for i in result.values.indices { result.values[i] += outputBias[i % vocabulary] } }
    if model.head.scale != 1 { for i in result.values.indices { result.values[i] *= model.head.scale } }
    if let cap = model.head.cap {
      // In doubles, so that rounding to float hides differences between C libraries.
      for i in result.values.indices { result.values[i] = cap * Float(tanh(Double(result.values[i] / cap))) }
    }
    return result
  }

  /// Runs whole sequences through one block.
  /// - Parameters:
  ///   - block: weights from `loadBlock`, perhaps changed.
  ///   - hidden: `[sequences * sequenceLength, stateWidth]`, one sequence after another, each attending only to itself.
  ///   - observer: receives the inputs of the block's linear layers.
  public func runBlock(
    _ block: BlockWorkspace, hidden: inout Matrix, sequenceLength: Int, observer: (any SiteObserver)? = nil
  ) {
    run(pass(block, observer: observer, simulation), hidden: &hidden, sequenceLength: sequenceLength)
  }

  /// A pass through a block of this model.
  func pass(_ block: BlockWorkspace, observer: (any SiteObserver)? = nil, _ simulation: Simulation?) -> BlockPass {
    let pass = BlockPass(block, parallel: parallel, observer: observer, simulation: simulation)
    if let embedding = model.embedding.perBlock { pass.embed = { blockEmbedding($0, block: block.index, embedding) } }
    return pass
  }

  func run(_ pass: BlockPass, hidden: inout Matrix, sequenceLength: Int) {
    precondition(sequenceLength > 0 && hidden.rows.isMultiple(of: sequenceLength), "hidden states hold whole sequences")
    pass.precision = precision
    pass.run(&hidden, SequenceRows(length: sequenceLength), group: groupTokens(sequenceLength))
  }

  /// Runs the next tokens of one sequence through one block, after the positions in `cache`.
  func runBlock(_ block: BlockWorkspace, hidden: inout Matrix, cache: inout BlockCache) {
    pass(block, simulation).run(&hidden, cache: &cache)
  }
}
