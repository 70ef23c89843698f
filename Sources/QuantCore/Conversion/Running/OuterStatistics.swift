import QuantPlatform

extension ConversionPlan {
  /// The tensor that makes logits, if a method rounds it by what its inputs are: the output matrix, or the embedding if the two are tied.
  var calibratedHead: Int? {
    tensors.head(of: model).flatMap(calibrated)
  }

  /// The embedding, if a method rounds it by what errors in it cost, and it is not the output matrix as well.
  var calibratedEmbedding: Int? {
    guard let index = tensors.firstIndex(where: { $0.id == TensorID(.tokenEmbedding) }), index != calibratedHead else { return nil }
    return calibrated(index)
  }

  private func calibrated(_ index: Int) -> Int? {
    let tensor = tensors[index]
    let isRounded = tensor.scheme.grid.kind != .float && !tensor.isCopy && !tensor.isTransposed && tensor.repacking == nil
    return isRounded && calibration != nil && methods.contains { $0.roundsByStatistics } ? index : nil
  }
}

extension [PlannedTensor] {
  /// The tensor that makes logits: the output matrix, or the embedding if the two are tied.
  func head(of model: ModelDescription?) -> Int? {
    guard let model, model.hasOutputMatrix else { return nil }
    let own = model.head.isTied ? nil : firstIndex { $0.id == TensorID(.output) }
    return own ?? firstIndex { $0.id == TensorID(.tokenEmbedding) }
  }
}

extension Engine {
  /// What errors in the columns of the embedding cost, as if it were a layer with these inputs: the layers of the first block that read
  /// its rows through a norm multiply errors by their weights, and so does, more or less, every later block that reads what is left of
  /// them in the hidden states.
  /// - Returns: nil if the first block reads something else.
  func embeddingStatistics() -> SiteStatistics? {
    guard model.embedding.norm == nil, !model.embedding.isProjected, model.embedding.lanes == nil, !model.blocks.isEmpty else { return nil }
    let width = model.embedding.width
    var statistics = SiteStatistics(channels: width)
    statistics.gram = [Float](repeating: 0, count: width * width)
    let block = loadBlock(0)
    let norms = block.description.branches.compactMap { $0.norm }
    for fold in block.graph.folds {
      guard case .norm(let role) = fold.producer, let norm = norms.first(where: { $0.role == role }),
        let gain = block.vectors[TensorID(role, block: 0)], gain.count == width
      else { continue }
      for layer in block.graph.consumers(of: fold) {
        guard var weights = block.matrices[layer]?.scalingColumns(by: gain), weights.columns == width else { continue }
        if norm.formula == .layer { weights.subtractRowMeans() }
        weights.withPanel { LinearAlgebra.addGram(of: $0, to: &statistics.gram, parallel: parallel) }
        statistics.tokens += weights.rows
      }
    }
    guard statistics.tokens > 0 else { return nil }
    statistics.mirrorGram(parallel: parallel)
    statistics.deriveMeanSquare()
    return statistics
  }
}

extension Matrix {
  /// Makes the mean of every row zero.
  fileprivate mutating func subtractRowMeans() {
    for row in 0..<rows {
      let range = row * columns..<(row + 1) * columns
      let mean = Float(values[range].reduce(0.0) { $0 + Double($1) } / Double(max(1, columns)))
      for i in range { values[i] -= mean }
    }
  }
}
