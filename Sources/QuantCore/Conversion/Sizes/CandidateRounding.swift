/// Rounds rows of a matrix as a conversion with the same methods would, and weighs the errors.
struct CandidateRounding: Sendable {
  let methods: [any QuantizationMethod]
  let parallel: Parallel

  /// Some rows of a matrix, with their numbers.
  struct Rows: Sendable {
    var weights: Matrix
    var numbers: [Int]
    /// The rows of the matrix for each of these.
    var share: Double
  }

  /// Rows that are rounded together: square blocks have as many.
  static let piece = 128
  /// Rows of a matrix that are rounded with every candidate. They are spread over the matrix; their errors stand for those of the others.
  static let sampledRows = 512

  /// Pieces of rows, spread evenly; all rows of a matrix that is not larger.
  static func sample(of rows: Int) -> [Range<Int>] {
    let pieces = (rows + piece - 1) / piece
    let wanted = min(pieces, sampledRows / piece)
    return (0..<wanted).map { $0 * pieces / wanted }.map { $0 * piece..<min(rows, ($0 + 1) * piece) }
  }

  /// - Parameter decode: writes rows of the matrix.
  static func rows(of count: Int, columns: Int, _ decode: (Range<Int>, UnsafeMutablePointer<Float>) -> Void) -> Rows {
    let ranges = sample(of: count)
    let numbers = ranges.flatMap { $0 }
    let weights = Matrix(rows: numbers.count, columns: columns) { base in
      var next = base
      for range in ranges {
        decode(range, next)
        next += range.count * columns
      }
    }
    return Rows(weights: weights, numbers: numbers, share: Double(count) / Double(max(1, numbers.count)))
  }

  /// The values that the codes of some rows stand for.
  /// - Parameter task: the matrix; its scheme is fitted here.
  func rounded(_ rows: Rows, _ task: RoundingTask) throws -> Matrix {
    let weights = rows.weights
    let shared = task.scheme.sharedScale?.fitted(largestMagnitude: VectorKernels.largestMagnitude(weights.values)) ?? task.scheme
    let nesting = shared.nesting?.fitted(
      tileMagnitudes: weights.tileMagnitudes(length: shared.groupLength(columns: weights.columns)))
    var task = task
    task.scheme = nesting ?? shared
    let (scheme, importance, rounder) = (task.scheme, task.importance, try methods.rounder(for: task))
    var result = Matrix(rows: weights.rows, columns: weights.columns)
    result.values.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(weights.rows, piece: CandidateRounding.piece) { range in
        weights.withPanel(rows: range) { panel in
          let destination = target.base + range.lowerBound * weights.columns
          if rounder == nil, nesting == nil { return scheme.roundTrip(panel, importance: importance, into: destination) }
          var quantized = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
          if let rounder {
            rounder.round(panel, rows: Array(rows.numbers[range]), into: &quantized)
          } else {
            scheme.encode(panel, importance: importance, into: &quantized)
          }
          nesting?.nest(&quantized, firstTile: range.lowerBound * quantized.groupsPerRow)
          scheme.value(quantized, columns: 0..<panel.columns, into: destination)
        }
      }
    }
    return result
  }

  /// `tr(E·H·Eᵀ)` of the whole matrix, from some of its rows.
  /// - Parameters:
  ///   - errors: of the rows, as many as `rows` has.
  ///   - gram: H, `[columns, columns]`.
  func power(_ errors: Matrix, of rows: Rows, gram: [Float]) -> Double {
    var forms = [Float](repeating: 0, count: errors.rows)
    forms.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let target = SharedPointer(base)
      parallel.forEachRange(errors.rows, piece: 32) { range in
        errors.withPanel(rows: range) { panel in
          gram.withUnsafeBufferPointer { gram in
            guard let gram = gram.baseAddress else { return }
            LinearAlgebra.quadraticForms(of: panel, gram: gram, stride: errors.columns, into: target.base + range.lowerBound)
          }
        }
      }
    }
    return forms.reduce(0) { $0 + Double($1) } * rows.share
  }
}

/// Errors of rounding with random signs: as large as a type's where a type's are large, but independent of the weights and of each other.
///
/// The signs depend on the tensor and the place in it alone.
struct RoundingNoise: Sendable {
  /// Whose errors they are, by its own rule.
  let scheme: any Scheme
  let key: String

  /// Noise for some rows.
  func callAsFunction(_ rows: CandidateRounding.Rows, parallel: Parallel) throws -> Matrix {
    let task = RoundingTask(id: nil, name: key, scheme: scheme, statistics: nil)
    var noise = try CandidateRounding(methods: [], parallel: parallel).rounded(rows, task)
    for (row, number) in rows.numbers.enumerated() {
      noise.values.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        let values = base + row * rows.weights.columns
        rows.weights.withPanel(rows: row..<row + 1) { apply(to: values, original: $0.base, columns: $0.columns, row: number) }
      }
    }
    return noise
  }

  /// Turns rounded values of one row into noise.
  private func apply(to values: UnsafeMutablePointer<Float>, original: UnsafePointer<Float>, columns: Int, row: Int) {
    var signs = RandomBits(state: seed &+ UInt64(row) &* 0x9E37_79B9_7F4A_7C15)
    var bits: UInt64 = 0
    for column in 0..<columns {
      if column.isMultiple(of: 64) { bits = signs.next() }
      let error = values[column] - original[column]
      values[column] = bits & 1 == 0 ? error : -error
      bits >>= 1
    }
  }

  /// FNV-1a of the key.
  private var seed: UInt64 { key.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01B3 } }
}

/// SplitMix64.
private struct RandomBits {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A tensor whose rows are changed after they are decoded.
struct ChangedStorage: TensorStorage {
  let original: any TensorStorage
  /// Changes some rows in place: their range, their length and the first value.
  let change: @Sendable (Range<Int>, Int, UnsafeMutablePointer<Float>) -> Void

  var schemeName: String { original.schemeName }
  var byteCount: Int { original.byteCount }
  var isNumeric: Bool { original.isNumeric }
  var verbatim: ByteView? { nil }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    original.decode(rows: rows, rowLength: rowLength, into: destination)
    change(rows, rowLength, destination)
  }
}
