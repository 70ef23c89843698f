// What is measured on the model's predictions: noise in tensors of one kind, and whole mixes.

extension SizeMeasurement {
  // MARK: Effects

  /// How much noise of known size in the tensors of each kind changes the predictions, some neighbouring blocks at a time.
  func effects(_ losses: [String: Losses]) throws -> [SizeAnalysis.Effect] {
    let tokens = text.windows.flatMap { $0 }
    var effects: [SizeAnalysis.Effect] = []
    let start = try engine.embed(tokens, sequenceLength: text.context)
    // Before each group of blocks, and after the last.
    var states = [start]
    let groups = self.groups
    for group in groups {
      var hidden = states[states.count - 1]
      for block in group { engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: text.context) }
      states.append(hidden)
    }
    let reference = states[groups.count]
    if let noise = outer(.tokenEmbedding)?.noise, let loss = losses[Losses.embedding]?.noise {
      let disturbed = try engine.with(source.changing(TensorID(.tokenEmbedding), of: model) { disturb($0, $1, $2, noise) })
      var hidden = try disturbed.embed(tokens, sequenceLength: text.context)
      for block in model.blocks.indices { engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: text.context) }
      let divergence = try Evaluation.divergence(of: hidden, by: engine, from: reference, by: engine)
      effects.append(.init(kind: TensorRole.tokenEmbedding.rawValue, blocks: nil, loss: loss, divergence: divergence))
    }
    if let head, let noise = head.noise, let loss = losses[Losses.head]?.noise {
      let disturbed = try engine.with(source.changing(head.id, of: model) { disturb($0, $1, $2, noise) })
      let divergence = try Evaluation.divergence(of: reference, by: disturbed, from: reference, by: engine)
      effects.append(.init(kind: TensorRole.output.rawValue, blocks: nil, loss: loss, divergence: divergence))
    }
    for (index, group) in groups.enumerated() {
      effects += try self.effects(of: group, states[index], reference, losses)
      progress.advance("analyze", by: group.count)
    }
    return effects
  }

  /// Neighbouring blocks.
  private var groups: [ClosedRange<Int>] {
    let blocks = model.blocks.count
    let count = min(blocks, SizeMeasurement.depths)
    return (0..<count).map { $0 * blocks / count...($0 + 1) * blocks / count - 1 }
  }

  /// - Parameter hidden: the hidden states before the first of the blocks.
  private func effects(
    of blocks: ClosedRange<Int>, _ hidden: Matrix, _ reference: Matrix, _ losses: [String: Losses]
  ) throws -> [SizeAnalysis.Effect] {
    let disturbed = subjects.filter { $0.id.block.map { blocks.contains($0) } ?? false && $0.noise != nil && losses[$0.id.key] != nil }
    var kinds: [TensorRole] = []
    for subject in disturbed where !kinds.contains(subject.id.role) { kinds.append(subject.id.role) }
    var states = kinds.map { _ in hidden }
    for block in blocks.lowerBound..<model.blocks.count {
      let workspace = engine.loadBlock(block)
      for (index, kind) in kinds.enumerated() {
        var changed = workspace
        for subject in disturbed where subject.id.block == block && subject.id.role == kind {
          guard let matrix = workspace.matrices[subject.id.layer], let noise = subject.noise else { continue }
          let rows = CandidateRounding.Rows(weights: matrix, numbers: Array(0..<matrix.rows), share: 1)
          changed.matrices[subject.id.layer] = matrix.plus(try noise(rows, parallel: parallel))
        }
        engine.runBlock(changed, hidden: &states[index], sequenceLength: text.context)
      }
    }
    return try zip(kinds, states).map { kind, state in
      let loss = disturbed.filter { $0.id.role == kind }.reduce(0) { $0 + (losses[$1.id.key]?.noise ?? 0) }
      let divergence = try Evaluation.divergence(of: state, by: engine, from: reference, by: engine)
      return SizeAnalysis.Effect(kind: kind.rawValue, blocks: blocks, loss: loss, divergence: divergence)
    }
  }

  // MARK: Mixes

  /// Rounds some mixes of the front, spread over its range, and measures their divergence.
  func curve(of tensors: [SizeAnalysis.Tensor]) throws -> [SizeAnalysis.Point] {
    let problem = SizeProblem(
      tensors.map { tensor in
        tensor.candidates.map {
          .init(name: $0.scheme, bytes: Int(($0.bitsPerWeight * Double(tensor.weights) / 8).rounded()), cost: $0.divergence)
        }
      })
    let chosen = problem.spread(SizeMeasurement.mixes)
    let mixes = chosen.map { allocation in
      Dictionary(
        uniqueKeysWithValues: zip(tensors.indices, allocation.choice).map { (tensors[$0].key, problem.groups[$0][$1].name) })
    }
    let measured = try divergences(of: mixes)
    var points: [SizeAnalysis.Point] = []
    for (allocation, measured) in zip(chosen, measured).sorted(by: { $0.0.cost < $1.0.cost })
    where allocation.cost > points.last?.sum ?? 0 && measured > points.last?.measured ?? 0 {
      points.append(.init(sum: allocation.cost, measured: measured))
    }
    return points
  }

  /// The divergence of whole mixes, nats per token.
  /// - Parameter mixes: names of schemes by the keys of tensors.
  private func divergences(of mixes: [[String: String]]) throws -> [Double] {
    let engines = try mixes.map { mix in
      var changed = source
      for subject in subjects where subject.id.block == nil {
        guard let scheme = subject.scheme(mix), scheme.grid.tileRows == 1, scheme.sharedScale == nil else { continue }
        let rounder = try rounding.methods.rounder(
          for: RoundingTask(id: subject.id, name: subject.id.key, scheme: scheme, statistics: nil, parallel: parallel))
        changed = changed.changing(subject.id, of: model) { rows, length, values in
          let panel = Panel(base: values, rows: rows.count, columns: length, rowStride: length)
          var quantized = scheme.emptyPanel(rows: rows.count, columns: length)
          if let rounder {
            rounder.round(panel, rows: Array(rows), into: &quantized)
          } else {
            scheme.encode(panel, importance: nil, into: &quantized)
          }
          scheme.value(quantized, columns: 0..<length, into: values)
        }
      }
      return try engine.with(changed)
    }
    let tokens = text.windows.flatMap { $0 }
    var inputs = try engine.embed(calibration.windows.flatMap { $0 }, sequenceLength: calibration.context)
    var reference = try engine.embed(tokens, sequenceLength: text.context)
    var states = try engines.map { try $0.embed(tokens, sequenceLength: text.context) }
    for block in model.blocks.indices {
      let workspace = engine.loadBlock(block)
      let found = try observe(workspace, &inputs)
      engine.runBlock(workspace, hidden: &reference, sequenceLength: text.context)
      for (index, mix) in mixes.enumerated() {
        var rounded = workspace
        for subject in subjects(in: block) {
          guard let scheme = subject.scheme(mix), let matrix = workspace.matrices[subject.id.layer] else { continue }
          let rows = CandidateRounding.Rows(weights: matrix, numbers: Array(0..<matrix.rows), share: 1)
          let statistics = workspace.graph.input(of: subject.id.layer).flatMap { found[$0] }
          rounded.matrices[subject.id.layer] = try rounding.rounded(
            rows, RoundingTask(id: subject.id, name: subject.id.key, scheme: scheme, statistics: statistics, parallel: parallel))
        }
        engine.runBlock(rounded, hidden: &states[index], sequenceLength: text.context)
      }
      progress.advance("analyze", by: 1)
    }
    return try zip(engines, states).map { try Evaluation.divergence(of: $1, by: $0, from: reference, by: engine) }
  }

  /// Adds noise to decoded rows.
  private func disturb(_ rows: Range<Int>, _ length: Int, _ values: UnsafeMutablePointer<Float>, _ noise: RoundingNoise) {
    let weights = Matrix(rows: rows.count, columns: length) { $0.update(from: values, count: rows.count * length) }
    let picked = CandidateRounding.Rows(weights: weights, numbers: Array(rows), share: 1)
    guard let added = try? noise(picked, parallel: Parallel(threads: 1)) else { return }
    for index in added.values.indices { values[index] += added.values[index] }
  }
}

extension SizeMeasurement.Subject {
  /// The candidate that a mix has for it.
  fileprivate func scheme(_ mix: [String: String]) -> (any Scheme)? {
    mix[id.key].flatMap { name in schemes.first { $0.name == name } }
  }
}

extension SizeProblem {
  /// Up to `count` allocations of the front whose costs are spread evenly between the largest and that of about 6.5 bits per weight, by their
  /// logarithms: where sizes are ordered.
  fileprivate func spread(_ count: Int) -> [Allocation] {
    let front = front.filter { $0.cost > 0 }
    guard let first = front.first, let last = front.last(where: { $0.cost > first.cost / 2000 }), last.cost < first.cost else {
      return Array(front.prefix(1))
    }
    let ratio = Float(last.cost / first.cost)
    var result: [Allocation] = []
    for step in 0..<count {
      let wanted = first.cost * Double(Power.of(ratio, Float(step) / Float(count - 1)))
      let nearest = front.min { ($0.cost / wanted).logDistance < ($1.cost / wanted).logDistance }
      if let nearest, result.last != nearest { result.append(nearest) }
    }
    return result
  }
}

extension Double {
  /// How far a ratio is from 1, in either direction.
  fileprivate var logDistance: Double { self < 1 ? 1 / self : self }
}

extension Matrix {
  fileprivate func plus(_ other: Matrix) -> Matrix {
    Matrix(rows: rows, columns: columns, values: zip(values, other.values).map { $0 + $1 })
  }
}

extension Checkpoint {
  /// The same checkpoint with the rows of one tensor of a model changed as they are decoded.
  fileprivate func changing(
    _ id: TensorID, of model: ModelDescription, _ change: @escaping @Sendable (Range<Int>, Int, UnsafeMutablePointer<Float>) -> Void
  ) -> Checkpoint {
    let name = model.tensor(id)?.place(naming)?.name
    var result = self
    result.replaceStorage { $0.name == name ? ChangedStorage(original: $0.storage, change: change) : $0.storage }
    return result
  }
}

extension Engine {
  /// The same model with the tensors of another checkpoint.
  fileprivate func with(_ checkpoint: Checkpoint) throws(Failure) -> Engine {
    try Engine(checkpoint, model: model, parallel: parallel)
  }
}
