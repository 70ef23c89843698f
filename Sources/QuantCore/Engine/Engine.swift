/// Runs a decoder on a CPU, one block at a time, in 32-bit floats.
///
/// Blocks are loaded and freed by the caller, so memory holds one block of weights, the hidden states that the caller keeps,
/// and scratch for some thousand tokens. Results do not depend on the number of threads, and a token's results do not
/// depend on what else is in the batch.
public struct Engine: Sendable {
  /// The model that is run.
  public let model: ModelDescription
  /// The threads to use.
  public let parallel: Parallel
  /// Of the products with weights when whole sequences are run.
  public private(set) var precision = ProductPrecision.f32
  let weights: ModelWeights
  private let outputNorm: [Float]

  /// Finds the model's tensors. Reads the final norm only.
  /// - Throws: `Failure` `model.tensor-missing`, `model.tensor-shape` or `model.tensor-type`.
  public init(_ checkpoint: Checkpoint, model: ModelDescription, parallel: Parallel) throws(Failure) {
    self.model = model
    self.parallel = parallel
    weights = try ModelWeights(checkpoint, model: model)
    outputNorm = weights.vector(TensorID(.outputNorm)) ?? []
  }

  /// The same engine with another precision.
  public func with(precision: ProductPrecision) -> Engine {
    var engine = self
    engine.precision = precision
    return engine
  }

  /// Hidden states `[tokens, hidden]` in front of the first block.
  /// - Throws: `Failure` `model.token-range` for an id outside the vocabulary.
  public func embed(_ tokens: [Int]) throws(Failure) -> Matrix {
    let vocabulary = model.parameters.vocabularySize
    if let bad = tokens.first(where: { !(0..<vocabulary).contains($0) }) {
      throw Failure(
        .data, "model.token-range", "token \(bad) is outside the vocabulary of \(vocabulary)",
        remedy: "Use the tokenizer that belongs to the model.")
    }
    let width = model.parameters.hiddenSize
    var hidden = Matrix(rows: tokens.count, columns: width)
    hidden.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(tokens.count, piece: 64) { piece in
        for i in piece {
          weights.decode(TensorID(.tokenEmbedding), rows: tokens[i]..<tokens[i] + 1, into: target.base + i * width)
        }
      }
    }
    return hidden
  }

  /// The weights of one block, decoded, in the model's row order.
  public func loadBlock(_ index: Int) -> BlockWorkspace {
    var matrices: [Layer: Matrix] = [:]
    var vectors: [TensorID: [Float]] = [:]
    for tensor in model.tensors where tensor.id.block == index {
      if tensor.shape.count == 2 {
        matrices[tensor.id.layer] = weights.matrix(tensor.id, parallel: parallel)
      } else {
        vectors[tensor.id] = weights.vector(tensor.id)
      }
      weights.releasePages(tensor.id)
    }
    return BlockWorkspace(index: index, model: model, matrices: matrices, vectors: vectors, statistics: [:], parallel: parallel)
  }

  /// Logits `[rows, vocabulary]` of hidden states behind the last block. The caller bounds the rows.
  public func logits(_ hidden: Matrix) -> Matrix {
    let rows = hidden.rows
    let width = model.parameters.hiddenSize
    let vocabulary = model.parameters.vocabularySize
    let normed = BlockPass.norm(hidden, rows: 0..<rows, gain: outputNorm, parameters: model.parameters, parallel: parallel)
    let head = weights.contains(TensorID(.output)) && !model.parameters.tiesEmbeddings ? TensorID(.output) : TensorID(.tokenEmbedding)
    var result = Matrix(rows: rows, columns: vocabulary)
    // The head is decoded in pieces right before use: whole, it is often larger than a block.
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
    return result
  }

  /// Runs whole sequences through one block.
  /// - Parameters:
  ///   - block: weights of `loadBlock`, perhaps changed.
  ///   - hidden: `[sequences * sequenceLength, hidden]`, one sequence after another, each attending to itself only.
  ///   - observer: sees the inputs of the block's linear layers.
  ///   - rounding: changes them.
  public func runBlock(
    _ block: BlockWorkspace, hidden: inout Matrix, sequenceLength: Int, observer: (any SiteObserver)? = nil,
    rounding: (any SiteRounding)? = nil
  ) {
    let pass = BlockPass(block, parallel: parallel, observer: observer, rounding: rounding)
    run(pass, hidden: &hidden, sequenceLength: sequenceLength)
  }

  func run(_ pass: BlockPass, hidden: inout Matrix, sequenceLength: Int) {
    precondition(sequenceLength > 0 && hidden.rows.isMultiple(of: sequenceLength), "hidden states hold whole sequences")
    var pass = pass
    pass.precision = precision
    let table = model.parameters.rope.table(positions: 0..<sequenceLength)
    let group = groupTokens(sequenceLength)
    for first in stride(from: 0, to: hidden.rows, by: group) {
      let rows = first..<min(hidden.rows, first + group)
      pass.attend(&hidden, rows: rows, sequenceLength: sequenceLength, table: table)
    }
    pass.feedForward(&hidden)
  }

  /// Runs the next tokens of one sequence through one block, after the positions in `cache`.
  func runBlock(_ block: BlockWorkspace, hidden: inout Matrix, cache: inout KeyValueCache) {
    let pass = BlockPass(block, parallel: parallel)
    pass.attend(&hidden, cache: &cache)
    pass.feedForward(&hidden)
  }
}
