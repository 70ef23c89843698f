import QuantCore

/// What a part needs to run alone: weights, one or several sequences, perhaps a cache.
final class PartContext: BlockContext {
  let parallel = Parallel(threads: 2)
  var sequences: SequenceRows
  var cache: PartCache?
  var isOutputWanted = true
  var matrices: [Layer: Matrix] = [:]
  var vectors: [TensorID: [Float]] = [:]
  /// What the embedding gives the block of the tokens.
  var blockEmbedding = Matrix(rows: 0, columns: 0)
  /// What parts have handed on.
  var handedOn: [CarriedValue: Matrix] = [:]
  /// Sites in the order in which values passed them.
  var seen: [Site] = []
  /// The values that passed them.
  var passed: [Site: [Matrix]] = [:]
  var observesAttendedInputs = false

  init(_ sequences: SequenceRows) { self.sequences = sequences }

  /// Random weights for every tensor of a part, and biases for its linear layers.
  func fill(_ part: any Part, biased: Bool = false, seed: UInt64 = 1) {
    var random = TestRandom(seed: seed)
    for tensor in part.tensors {
      if tensor.shape.count == 2 {
        let columns = tensor.shape[1]
        matrices[Layer(tensor.role, expert: tensor.expert)] = Matrix(
          rows: tensor.shape[0], columns: columns, values: random.values(tensor.shape[0] * columns, 1.5 / Float(columns).squareRoot()))
        if biased { vectors[TensorID(tensor.role, expert: tensor.expert, isBias: true)] = random.values(tensor.shape[0], 0.3) }
      } else {
        let base: Float = tensor.kind == .norm ? 1 : 0
        vectors[TensorID(tensor.role)] = random.values(tensor.shape[0], 0.5).map { base + $0 }
      }
    }
  }

  func linear(_ layer: Layer, _ x: Matrix) -> Matrix {
    guard let matrix = matrices[layer] else { return Matrix(rows: x.rows, columns: 0) }
    var result = Matrix.multiplyTransposed(x, matrix, parallel: parallel)
    if let bias = vectors[TensorID(layer.role, expert: layer.expert, isBias: true)] {
      for i in result.values.indices { result.values[i] += bias[i % bias.count] }
    }
    return result
  }

  func pass(_ x: inout Matrix, through site: Site) {
    seen.append(site)
    passed[site, default: []].append(x)
  }
  func carried(_ value: CarriedValue) -> Matrix { handedOn[value] ?? Matrix(rows: 0, columns: value.width) }
  func carry(_ values: Matrix, as value: CarriedValue) { handedOn[value] = values }
  func vector(_ role: TensorRole, isBias: Bool) -> [Float]? { vectors[TensorID(role, isBias: isBias)] }
  func normed(_ x: Matrix, by norm: Norm) -> Matrix { x }
  func remembering<Key: Hashable & Sendable, Value: Sendable>(_ key: Key, _ make: () -> Value) -> Value { make() }
}

/// Random values between -1 and 1 that are the same on every run.
struct TestRandom {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> Float {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Float(state >> 40) / Float(1 << 23) - 1
  }

  mutating func values(_ count: Int, _ scale: Float) -> [Float] { (0..<count).map { _ in next() * scale } }
  mutating func matrix(_ rows: Int, _ columns: Int) -> Matrix { Matrix(rows: rows, columns: columns, values: values(rows * columns, 1)) }
}
