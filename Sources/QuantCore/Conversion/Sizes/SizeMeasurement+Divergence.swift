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
    if let subject = outer(.tokenEmbedding), let losses = losses[Losses.embedding] {
      let divergences = try subject.noises.map { noise in
        var hidden = try engine.with(source.changing(subject.id, of: model) { disturb($0, $1, $2, noise) })
          .embed(tokens, sequenceLength: text.context)
        for block in model.blocks.indices { engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: text.context) }
        return try Evaluation.divergence(of: hidden, by: engine, from: reference, by: engine)
      }
      if let effect = effect(.tokenEmbedding, nil, losses.noises, divergences) { effects.append(effect) }
    }
    if let head, let losses = losses[Losses.head] {
      let divergences = try head.noises.map { noise in
        let disturbed = try engine.with(source.changing(head.id, of: model) { disturb($0, $1, $2, noise) })
        return try Evaluation.divergence(of: reference, by: disturbed, from: reference, by: engine)
      }
      if let effect = effect(.output, nil, losses.noises, divergences) { effects.append(effect) }
    }
    for (index, group) in groups.enumerated() {
      effects += try self.effects(of: group, states[index], reference, losses)
      progress.advance("analyze", by: group.count * calibration.tokenCount)
    }
    return effects
  }

  /// Neighbouring blocks.
  private var groups: [ClosedRange<Int>] {
    let blocks = model.blocks.count
    let count = min(blocks, SizeMeasurement.depths)
    return (0..<count).map { $0 * blocks / count...($0 + 1) * blocks / count - 1 }
  }

  /// - Parameters:
  ///   - losses: of noise, the smaller first.
  ///   - divergences: that it caused.
  /// - Returns: nil if nothing was disturbed.
  private func effect(
    _ kind: TensorRole, _ blocks: ClosedRange<Int>?, _ losses: [Double], _ divergences: [Double]
  ) -> SizeAnalysis.Effect? {
    guard let loss = losses.first, let divergence = divergences.first, loss > 0 else { return nil }
    var growth = 1.0
    if let larger = losses.last, let worse = divergences.last, larger > 2 * loss, divergence > 0, worse > divergence {
      growth = min(2, max(1, Power.logarithm(worse / divergence) / Power.logarithm(larger / loss)))
    }
    return SizeAnalysis.Effect(kind: kind.rawValue, blocks: blocks, loss: loss, divergence: max(0, divergence), growth: growth)
  }

  /// - Parameter hidden: the hidden states before the first of the blocks.
  private func effects(
    of blocks: ClosedRange<Int>, _ hidden: Matrix, _ reference: Matrix, _ losses: [String: Losses]
  ) throws -> [SizeAnalysis.Effect] {
    let disturbed = subjects.filter { $0.id.block.map { blocks.contains($0) } ?? false && losses[$0.id.key] != nil }
    var kinds: [TensorRole] = []
    for subject in disturbed where !kinds.contains(subject.id.role) { kinds.append(subject.id.role) }
    let sizes = disturbed.map(\.noises.count).min() ?? 0
    var states = kinds.map { _ in [Matrix](repeating: hidden, count: sizes) }
    for block in blocks.lowerBound..<model.blocks.count {
      let workspace = engine.loadBlock(block)
      for (index, kind) in kinds.enumerated() {
        for size in 0..<sizes {
          var changed = workspace
          for subject in disturbed where subject.id.block == block && subject.id.role == kind {
            guard let matrix = workspace.matrices[subject.id.layer] else { continue }
            let rows = CandidateRounding.Rows(weights: matrix, numbers: Array(0..<matrix.rows), share: 1)
            changed.matrices[subject.id.layer] = matrix.plus(try subject.noises[size](rows, parallel: parallel))
          }
          engine.runBlock(changed, hidden: &states[index][size], sequenceLength: text.context)
        }
      }
    }
    return try zip(kinds, states).compactMap { kind, states in
      let own = disturbed.filter { $0.id.role == kind }
      let sums = (0..<sizes).map { size in own.reduce(0) { $0 + (losses[$1.id.key]?.noises[size] ?? 0) } }
      let divergences = try states.map { try Evaluation.divergence(of: $0, by: engine, from: reference, by: engine) }
      return effect(kind, blocks, sums, divergences)
    }
  }

  // MARK: Mixes

  /// Rounds some mixes of the front, spread over its range, and measures their divergence.
  /// - Parameter outer: what methods know about the matrices outside of the blocks.
  func curve(of tensors: [SizeAnalysis.Tensor], _ outer: [TensorID: SiteStatistics]) throws -> [SizeAnalysis.Point] {
    let problem = SizeProblem(
      tensors.map { tensor in
        tensor.candidates.map {
          .init(name: $0.scheme, bytes: Int(($0.bitsPerWeight * Double(tensor.weights) / 8).rounded()), cost: $0.divergence)
        }
      })
    let chosen = problem.spread(SizeMeasurement.mixes, weights: tensors.reduce(0) { $0 + $1.weights })
    let mixes = chosen.map { allocation in
      Dictionary(
        uniqueKeysWithValues: zip(tensors.indices, allocation.choice).map { (tensors[$0].key, problem.groups[$0][$1].name) })
    }
    let measured = try divergences(of: mixes, outer)
    var points: [SizeAnalysis.Point] = []
    for (allocation, measured) in zip(chosen, measured).sorted(by: { $0.0.cost < $1.0.cost })
    where allocation.cost > points.last?.sum ?? 0 && measured > points.last?.measured ?? 0 {
      points.append(.init(sum: allocation.cost, measured: measured))
    }
    return points
  }

  /// The divergence of whole mixes, nats per token.
  /// - Parameter mixes: names of schemes by the keys of tensors.
  private func divergences(of mixes: [[String: String]], _ outer: [TensorID: SiteStatistics]) throws -> [Double] {
    let engines = try mixes.map { mix in
      var changed = source
      for subject in subjects where subject.id.block == nil {
        guard let scheme = subject.scheme(mix), scheme.grid.tileRows == 1, scheme.sharedScale == nil else { continue }
        let rounder = try rounding.methods.rounder(
          for: RoundingTask(id: subject.id, name: subject.id.key, scheme: scheme, statistics: outer[subject.id], parallel: parallel))
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
      progress.advance("analyze", by: calibration.tokenCount)
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
  /// Up to `count` allocations of the front, spread evenly over its sizes up to that of about 6.5 bits per weight: where sizes are ordered.
  /// - Parameter weights: of all groups together.
  fileprivate func spread(_ count: Int, weights: Int) -> [Allocation] {
    let front = front.filter { $0.cost > 0 }
    guard let first = front.first, let last = front.last(where: { Double($0.bytes) * 8 <= 6.5 * Double(weights) }) ?? front.last else {
      return []
    }
    var result: [Allocation] = []
    for step in 0..<count {
      let wanted = first.bytes + (last.bytes - first.bytes) * step / max(1, count - 1)
      if let found = front.last(where: { $0.bytes <= wanted }), result.last != found { result.append(found) }
    }
    return result
  }
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
