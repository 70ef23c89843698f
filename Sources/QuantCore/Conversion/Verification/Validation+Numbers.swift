import Synchronization

/// Checks every stored value: scales, zero points, codes, and the weights that they mean.
extension Validation {
  /// Rows of one piece of work.
  private static func piece(_ tensor: CheckpointTensor, multiple: Int = 1) -> Int {
    let rows = max(1, (1 << 18) / max(1, tensor.rowLength))
    return max(multiple, rows / multiple * multiple)
  }

  // MARK: Parameters and codes

  /// How many of a tensor's parameters and codes are wrong.
  private struct Counts {
    var scales = 0
    var nonfinite = 0
    /// Zero scales of groups whose weights are not all zero.
    var zero = 0
    var negative = 0
    /// Zero points and codes that their bits cannot hold.
    var zeroPoints = 0
    var codes = 0

    mutating func add(_ other: Counts) {
      scales += other.scales
      nonfinite += other.nonfinite
      zero += other.zero
      negative += other.negative
      zeroPoints += other.zeroPoints
      codes += other.codes
    }
  }

  func codes(_ codes: any QuantizedStorage, of tensor: CheckpointTensor) -> [Finding] {
    let grid = codes.scheme.grid
    guard [.symmetricInteger, .asymmetricInteger, .affineInteger, .scaledFloat].contains(grid.kind) else { return [] }
    let found = Mutex(Counts())
    parallel.forEachRange(tensor.rowCount, piece: Validation.piece(tensor, multiple: grid.tileRows ?? 1)) { rows in
      var counts = Validation.counts(codes.panel(rows: rows, rowLength: tensor.rowLength), codes.scheme)
      // The scale of a whole tensor appears in every piece; count it once.
      if grid.tileRows == nil, rows.lowerBound > 0 { (counts.scales, counts.nonfinite, counts.negative, counts.zero) = (0, 0, 0, 0) }
      found.withLock { $0.add(counts) }
    }
    let counts = found.withLock { $0 }
    func finding(_ severity: Finding.Severity, _ id: String, _ count: Int, of all: Int, _ message: String) -> [Finding] {
      count == 0 ? [] : [Finding(severity, id, "\(count) of \(all) \(message)", tensor: tensor.name)]
    }
    return finding(.error, "scale.nonfinite", counts.nonfinite, of: counts.scales, "scales are not finite")
      + finding(.error, "scale.zero", counts.zero, of: counts.scales, "scales are zero, though their codes are not")
      + finding(.warning, "scale.negative", counts.negative, of: counts.scales, "scales are negative")
      + finding(.error, "zero-point.range", counts.zeroPoints, of: counts.scales, "zero points are out of range for codes of this width")
      + finding(.error, "code.range", counts.codes, of: tensor.elementCount, "codes are out of range for their bits")
  }

  private static func counts(_ panel: QuantizedPanel, _ scheme: any Scheme) -> Counts {
    var counts = Counts()
    let grid = scheme.grid, largest = Float(Int32(1) << Int32(min(30, grid.codeBits)) - 1)
    // Codes without zero points have more room on one side, and affine ones may count down.
    let mayBeNegative = grid.kind == .affineInteger || grid.kind == .symmetricInteger
    let hasZeroPoints = grid.kind == .asymmetricInteger && panel.parameterCount > 1
    var zeros: [Int] = []
    for index in stride(from: 0, to: panel.parameters.count, by: max(1, panel.parameterCount)) {
      let scale = panel.parameters[index]
      counts.scales += 1
      if !scale.isFinite {
        counts.nonfinite += 1
      } else if scale < 0, !mayBeNegative {
        counts.negative += 1
      } else if scale == 0 {
        zeros.append(index)
      }
      if hasZeroPoints, !(0...largest).contains(panel.parameters[index + 1]) { counts.zeroPoints += 1 }
    }
    if grid.kind != .scaledFloat {
      let lowest: Int32 = grid.kind == .symmetricInteger ? -(Int32(largest) + 1) / 2 : 0
      let range = lowest...lowest + Int32(largest)
      counts.codes = panel.codes.count { !range.contains($0) }
    }
    if !zeros.isEmpty { counts.zero = lost(zeros, panel, scheme) }
    return counts
  }

  /// How many zero scales hide weights: those whose groups would not be all zero with a scale of 1. Groups of zeros need no scale.
  private static func lost(_ zeros: [Int], _ panel: QuantizedPanel, _ scheme: any Scheme) -> Int {
    var panel = panel
    for index in stride(from: 0, to: panel.parameters.count, by: max(1, panel.parameterCount)) { panel.parameters[index] = 0 }
    for index in zeros { panel.parameters[index] = 1 }
    let values = scheme.values(panel)
    var hidden: Set<Int> = []
    for row in 0..<panel.rows {
      for column in 0..<panel.columns where values[row * panel.columns + column] != 0 {
        hidden.insert(panel.parameterIndex(row: row, group: column / panel.groupLength))
      }
    }
    return hidden.count
  }

  // MARK: Weights

  /// Weights of working models are well within these bounds. A scale that is misread as its reciprocal, or exponents with another
  /// bias, give weights outside of them.
  private static let plausible: ClosedRange<Float> = 1e-6...1e4

  func values(of tensor: CheckpointTensor) -> [Finding] {
    let counts = Mutex((bad: 0, zero: 0, largest: Float(0)))
    parallel.forEachRange(tensor.rowCount, piece: Validation.piece(tensor)) { rows in
      let count = rows.count * tensor.rowLength
      let values = [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
        if let base = buffer.baseAddress { tensor.decode(rows: rows, into: base) }
        initialized = count
      }
      let bad = VectorKernels.areFinite(values, count: count) ? 0 : values.count { !$0.isFinite }
      let zero = values.count { $0 == 0 }
      let largest = bad == 0 ? VectorKernels.largestMagnitude(values) : 0
      counts.withLock { counts in
        counts.bad += bad
        counts.zero += zero
        counts.largest = max(counts.largest, largest)
      }
    }
    let found = counts.withLock { $0 }
    if found.bad > 0 {
      return [
        Finding(.error, "data.nonfinite", "\(found.bad) of \(tensor.elementCount) values are not finite", tensor: tensor.name)
      ]
    }
    guard tensor.shape.count > 1 else { return [] }
    if found.zero == tensor.elementCount { return [Finding(.warning, "data.all-zero", "all values are zero", tensor: tensor.name)] }
    guard tensor.storage.codes != nil, !Validation.plausible.contains(found.largest) else { return [] }
    return [
      Finding(
        .error, "scale.range",
        "the largest weight is \(found.largest), as if its scales were misread (as a reciprocal, or with another exponent)",
        tensor: tensor.name)
    ]
  }
}
