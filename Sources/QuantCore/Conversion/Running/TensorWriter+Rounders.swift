/// Which rows of a tensor are rounded together, and by which rounder.
extension TensorWriter {
  /// Rows of an output tensor that are rounded the same way.
  struct Segment {
    var rows: Range<Int>
    /// How much errors in each column weigh for the scheme's own rule, or nil.
    var importance: [Float]?
    /// What was observed at the input of its matrices, or nil.
    var statistics: SiteStatistics?
    /// Makes the rounder for a scheme that is fitted to the tensor; nil: the scheme's own rule rounds.
    var rounder: (any Scheme) throws -> (any Rounder)? = { _ in nil }
  }

  /// The matrices of a tensor of a block, whose inputs may have been observed.
  func observed(_ tensor: PlannedTensor, of block: BlockWorkspace) -> [Segment] {
    // Statistics weigh inputs, and each row of a transposed matrix belongs to a single input.
    if tensor.isTransposed { return byImportance(tensor, rows: tensor.shape.dropLast().reduce(1, *)) }
    return tensor.segments(of: block.graph).map { segment in
      let statistics = segment.site.flatMap { block.statistics[$0] }
      return self.segment(
        tensor, segment.rows, segment.piece.id, importance: block.importance[segment.piece.id.layer], statistics: statistics,
        isUnobserved: segment.site != nil && statistics == nil)
    }
  }

  /// The matrices of a tensor that streams from the source.
  func streamed(_ index: Int, rows: Int) -> [Segment] {
    let tensor = plan.tensors[index]
    guard plan.methods.haveRounders, tensor.scheme.grid.kind != .float, !tensor.isTransposed else {
      return byImportance(tensor, rows: rows)
    }
    if let model = plan.model, !tensor.pieces.isEmpty {
      // A tensor outside of the blocks is one matrix, whose input is not a site.
      let graph = tensor.id?.block.flatMap { model.graph($0) } ?? BlockGraph(linears: [], folds: [])
      return tensor.segments(of: graph).map { segment in
        self.segment(
          tensor, segment.rows, segment.piece.id, importance: tensor.importance(of: segment.piece), statistics: outerStatistics[index])
      }
    }
    // Without a family, a stack is recognized by its dimensions.
    let length = tensor.shape.count > 2 ? tensor.shape[tensor.shape.count - 2] : rows
    guard length > 0, length < rows, length.isMultiple(of: tensor.rowMultiple) else {
      return byImportance(tensor, rows: rows).map { segment(tensor, $0.rows, nil, importance: $0.importance) }
    }
    let columns = max(1, tensor.shape.last ?? 1)
    return (0..<rows / length).map { number in
      var importance = tensor.importance
      if let all = importance, all.count > columns { importance = Array(all[number * columns..<(number + 1) * columns]) }
      return segment(tensor, number * length..<(number + 1) * length, nil, importance: importance)
    }
  }

  /// All rows by the scheme's own rule; in a stack each matrix may have its own importance.
  private func byImportance(_ tensor: PlannedTensor, rows: Int) -> [Segment] {
    let columns = max(1, tensor.shape.last ?? 1)
    guard let importance = tensor.importance, importance.count > columns else {
      return [Segment(rows: 0..<rows, importance: tensor.importance)]
    }
    let experts = importance.count / columns
    let length = rows / experts
    return (0..<experts).map {
      Segment(rows: $0 * length..<($0 + 1) * length, importance: Array(importance[$0 * columns..<($0 + 1) * columns]))
    }
  }

  /// One matrix. This is the only place that asks the methods of the plan, whether its rows are observed or streamed.
  /// - Parameter isUnobserved: whether its inputs should have been observed, but too few tokens reached it.
  private func segment(
    _ tensor: PlannedTensor, _ rows: Range<Int>, _ id: TensorID?, importance: [Float]?, statistics: SiteStatistics? = nil,
    isUnobserved: Bool = false
  ) -> Segment {
    Segment(rows: rows, importance: importance, statistics: statistics) { scheme in
      let task = RoundingTask(
        id: id, name: tensor.name, scheme: scheme, statistics: statistics, importance: importance, parallel: parallel)
      var rounder = try plan.methods.rounder(for: task)
      if rounder == nil, isUnobserved, scheme.grid.kind != .float, plan.methods.contains(where: { $0.roundsByStatistics }) {
        rounder = UncalibratedRounder(scheme: scheme, expert: id?.expert, importance: importance)
      }
      if let fallback = rounder?.record.fallback { fallbacks.warn(tensor.name, fallback) }
      return rounder
    }
  }
}
