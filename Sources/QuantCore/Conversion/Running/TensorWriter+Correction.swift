extension TensorWriter {
  /// The weights of a tensor without what its correction is going to hold; nil if they are rounded as they are.
  func anticipated(
    _ index: Int, segments: [Segment], load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) throws -> (@Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void)? {
    guard let adapter = plan.adapter, corrections[index] != nil, let method = plan.methods.corrector else { return nil }
    let tensor = plan.tensors[index]
    let (rows, columns) = tensor.matrixShape
    var whole = Matrix(rows: 0, columns: columns)
    for number in 0..<tensor.matrixCount {
      let first = number * rows
      var weights = Matrix(rows: rows, columns: columns) { load(first..<first + rows, $0) }
      let statistics = segments.first { $0.rows.contains(first) }?.statistics
      let task = AnticipationTask(
        weights: weights, scheme: tensor.scheme, statistics: statistics, rank: adapter.shape.rank, parallel: parallel)
      guard let factors = try method.anticipation(of: task) else { return nil }
      let product = Matrix.multiply(factors.outputs, factors.inputs, parallel: parallel)
      for place in weights.values.indices { weights.values[place] -= product.values[place] }
      whole = Matrix(rows: whole.rows + rows, columns: columns, values: whole.values + weights.values)
    }
    return { [whole] rows, destination in
      let values = whole.values[rows.lowerBound * columns..<rows.upperBound * columns]
      values.withUnsafeBufferPointer { if let base = $0.baseAddress { destination.update(from: base, count: $0.count) } }
    }
  }

  /// Approximates what rounding a tensor lost, stores it in the adapter, and adds it to the values: the layers behind see what clients
  /// will compute.
  /// - Parameters:
  ///   - written: the values that its codes mean.
  ///   - segments: of its rows, with what was observed.
  ///   - load: gives the weights that were rounded.
  func correct(
    _ written: inout Written, of index: Int, segments: [Segment], load: @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) throws {
    guard let adapter = plan.adapter, let places = corrections[index], let method = plan.methods.corrector else { return }
    let tensor = plan.tensors[index]
    let (rows, columns) = tensor.matrixShape
    var factors: [LowRankFactors] = []
    for number in 0..<tensor.matrixCount {
      let first = number * rows
      var error = Matrix(rows: rows, columns: columns) { load(first..<first + rows, $0) }
      for place in error.values.indices { error.values[place] -= written.values[first * columns + place] }
      let statistics = segments.first { $0.rows.contains(first) }?.statistics
      if statistics == nil, !method.statistics.isEmpty {
        fallbacks.warn(tensor.name, "no calibration token reached this layer; its correction weighs all inputs alike")
      }
      factors.append(
        try method.factors(
          for: CorrectionTask(name: tensor.name, error: error, statistics: statistics, rank: adapter.shape.rank, parallel: parallel)))
    }
    let updates = LowRankFactors.updates(factors, of: tensor, rank: adapter.shape.rank)
    let made = try adapter.format.tensors(
      of: LowRankAdapter(naming: adapter.format.naming, updates: updates, alpha: Double(adapter.shape.rank)))
    var stored: [[Float]] = []
    for (place, tensor) in zip(places, made) {
      let clock = ContinuousClock()
      let start = clock.now
      let factor = try write(place, rows: tensor.rowCount, columns: tensor.rowLength, keepsValues: true) {
        tensor.decode(rows: $0, into: $1)
      }
      stored.append(factor.values)
      var report = ConversionReport.TensorReport(name: tensor.name, scheme: plan.tensors[place].scheme.name)
      report.relativeError = factor.relativeError
      report.seconds = (clock.now - start).inSeconds
      written.corrections.append((place, report))
    }
    guard stored.count == 2, stored[0].count == tensor.matrixCount * adapter.shape.rank * columns else {
      throw Failure(.internalError, "adapter.factors", "an adapter's format made other tensors than were planned", tensor: tensor.name)
    }
    add(stored, to: &written.values, of: tensor, rank: adapter.shape.rank)
  }

  /// Adds products of the factors as they are stored.
  /// - Parameter factors: A of all matrices, `[rank, in]` each, and B, `[out, rank]` each.
  private func add(_ factors: [[Float]], to values: inout [Float], of tensor: PlannedTensor, rank: Int) {
    let (rows, columns) = tensor.matrixShape
    for number in 0..<tensor.matrixCount {
      let inputs = Matrix(rows: rank, columns: columns, values: Array(factors[0][number * rank * columns..<(number + 1) * rank * columns]))
      let outputs = Matrix(rows: rows, columns: rank, values: Array(factors[1][number * rows * rank..<(number + 1) * rows * rank]))
      let product = Matrix.multiply(outputs, inputs, parallel: parallel)
      let first = number * rows * columns
      for place in product.values.indices { values[first + place] += product.values[place] }
    }
  }
}
