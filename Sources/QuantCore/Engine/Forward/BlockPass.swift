/// The forward pass through one block: its branches in order, each with its norms, and the sum with the hidden states.
///
/// It knows no concrete part. It is the `BlockContext` from which a part gets what it needs while it runs.
final class BlockPass: BlockContext {
  /// Tokens whose intermediate results are in memory at one time (if tokens are mixed, at least one whole sequence).
  static let chunkTokens = 2048

  let block: BlockWorkspace
  let parallel: Parallel
  /// Receives the inputs of the linear layers.
  let observer: (any SiteObserver)?
  /// What is rounded during the pass; nil: nothing.
  let simulation: Simulation?
  /// Precision of the products with weights.
  var precision = ProductPrecision.f32
  /// Whether the pass ends at the last site, because its output is not needed.
  var onlyObserves = false
  /// Makes what the embedding gives the block of some tokens; nil: nothing.
  var embed: (([Int]) -> Matrix)?

  private(set) var sequences = SequenceRows(length: 1)
  var cache: PartCache?
  private(set) var isOutputWanted = true
  private var remembered: [AnyHashable: any Sendable] = [:]
  /// Of all tokens that run through the block.
  private var columns: CarriedColumns?
  /// The tokens whose branches run.
  private var rows = 0..<0

  init(_ block: BlockWorkspace, parallel: Parallel, observer: (any SiteObserver)? = nil, simulation: Simulation? = nil) {
    self.block = block
    self.parallel = parallel
    self.observer = observer
    self.simulation = simulation
  }

  // MARK: Branches

  /// Runs whole sequences.
  /// - Parameter group: number of tokens of the whole sequences that run together if tokens are mixed.
  func run(_ hidden: inout Matrix, _ sequences: SequenceRows, group: Int) {
    self.sequences = sequences
    remembered = [:]
    enter(&hidden)
    defer { leave(&hidden) }
    let branches = block.description.branches
    let steps = block.description.steps
    for step in steps {
      isOutputWanted = !(onlyObserves && step.upperBound == steps.last?.upperBound)
      let piece = branches[step].contains { $0.part.mixesTokens } ? group : BlockPass.chunkTokens
      for first in stride(from: 0, to: hidden.rows, by: piece) {
        run(branches[step], &hidden, rows: first..<min(hidden.rows, first + piece)) { branch in branch.run(self) }
      }
    }
  }

  /// Runs the next tokens of one sequence.
  func run(_ hidden: inout Matrix, cache: inout BlockCache) {
    sequences = SequenceRows(length: hidden.rows, first: cache.count)
    remembered = [:]
    enter(&hidden)
    defer { leave(&hidden) }
    for step in block.description.steps {
      run(block.description.branches[step], &hidden, rows: 0..<hidden.rows) { branch in
        // Removed while the part appends to it, so that it is not copied.
        self.cache = cache.parts[branch.index]
        cache.parts[branch.index] = PartCache()
        let result = branch.run(self)
        cache.parts[branch.index] = self.cache ?? PartCache()
        self.cache = nil
        return result
      }
    }
    cache.count += hidden.rows
  }

  /// Separates hidden states from what else flows from block to block.
  private func enter(_ hidden: inout Matrix) {
    columns = CarriedColumns(of: block.model, splitFrom: &hidden)
  }

  private func leave(_ hidden: inout Matrix) {
    columns?.join(to: &hidden)
    columns = nil
  }

  /// A branch that is about to run.
  private struct Entered {
    /// Index among the branches of the block.
    var index: Int
    var part: any Part
    /// The input of the part.
    var input: Matrix

    func run(_ context: BlockPass) -> Matrix? { part.run(input, in: context) }
  }

  /// Runs branches that read the same hidden states, then adds their results.
  private func run(
    _ branches: ArraySlice<Branch>, _ hidden: inout Matrix, rows: Range<Int>, _ body: (Entered) -> Matrix?
  ) {
    self.rows = rows
    var results: [(branch: Branch, entered: Matrix, result: Matrix)] = []
    for (index, branch) in zip(branches.indices, branches) {
      let entered = branch.norm.map { normed(hidden, rows: rows, by: $0) } ?? hidden.rows(rows)
      guard var result = body(Entered(index: index, part: branch.part, input: entered)), isOutputWanted else { continue }
      if let norm = branch.outputNorm { result = normed(result, by: norm) }
      results.append((branch, entered, result))
    }
    for (branch, entered, result) in results {
      switch branch.residual {
      case .input: break
      case .normed: hidden.replace(rows, by: entered)
      case .nothing: hidden.replace(rows, by: Matrix(rows: rows.count, columns: hidden.columns))
      }
      hidden.add(result, at: rows, times: branch.scale)
      if let norm = branch.sumNorm { hidden.replace(rows, by: normed(hidden, rows: rows, by: norm)) }
      if branch.sumFactor != 1 { hidden.scale(rows: rows, by: branch.sumFactor) }
      if let scale = branch.sumScale.flatMap({ vector($0)?.first }) { hidden.scale(rows: rows, by: scale) }
    }
  }

  // MARK: What parts use

  func normed(_ x: Matrix, by norm: Norm) -> Matrix { normed(x, rows: 0..<x.rows, by: norm) }

  private func normed(_ x: Matrix, rows: Range<Int>, by norm: Norm) -> Matrix {
    var layer = NormLayer(norm, gain: vector(norm.role), bias: vector(norm.role, isBias: true), width: x.columns)
    layer.precision = precision
    return layer(x, rows: rows, parallel: parallel)
  }

  func vector(_ role: TensorRole, isBias: Bool) -> [Float]? { block.vectors[TensorID(role, block: block.index, isBias: isBias)] }

  /// Passes values through a site: they are observed unrounded. Values that enter a cache are then rounded if that is simulated; inputs
  /// of linear layers are rounded by each layer separately.
  func pass(_ x: inout Matrix, through site: Site) {
    if let observer { x.withPanel { observer.observe(site, $0) } }
    simulation?.round(&x, at: site, block: block.index, parallel: parallel)
  }

  var observesAttendedInputs: Bool { observer?.observesAttendedInputs ?? false }

  var blockEmbedding: Matrix {
    guard let embed, let columns else { return Matrix(rows: rows.count, columns: 0) }
    return embed(columns[.token, rows].values.map { Int($0) })
  }

  func carried(_ value: CarriedValue) -> Matrix { columns?[value, rows] ?? Matrix(rows: rows.count, columns: value.width) }

  func carry(_ values: Matrix, as value: CarriedValue) { columns?.set(value, rows, values) }

  func linear(_ layer: Layer, _ x: Matrix) -> Matrix {
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

  func remembering<Key: Hashable & Sendable, Value: Sendable>(_ key: Key, _ make: () -> Value) -> Value {
    if let known = remembered[key] as? Value { return known }
    let value = make()
    remembered[key] = value
    return value
  }
}
