/// What concerns conversions that write blocks which predict further tokens apart from the others, or leave them out.
enum PredictionRequest {
  /// Refuses what cannot be done with such blocks alone, or without them.
  /// - Throws: `Failure` of kind usage.
  static func check(_ request: ConversionRequest, _ source: Checkpoint, _ target: Target) throws(Failure) {
    guard request.predictions != .kept else { return }
    guard target.format.holdsKeyValues, source.naming != target.naming else {
      throw Failure(
        .usage, "prediction.format",
        "an output in format '\(target.format.id)' keeps blocks that predict further tokens where this input has them",
        file: request.output,
        remedy: "Write \(target.registry.outputs { $0.holdsKeyValues }) from a folder, or leave \(setting: "mtp") out.")
    }
    guard request.predictions == .alone else { return }
    let others: [(name: String, isGiven: Bool)] = [
      ("plugin", !request.methods.isEmpty), ("drop-blocks", !request.droppedBlocks.isEmpty), ("kv-cache", request.keyValueCache != nil),
      ("mmproj", request.writesTowers),
    ]
    for (name, isGiven) in others where isGiven {
      throw Failure(
        .usage, "prediction.setting",
        "only blocks that predict further tokens are written, and a setting that was given does not apply to them", file: request.output,
        remedy: "Leave \(setting: name) out, or write the whole model without \(setting: "mtp").")
    }
  }

  /// The source without such blocks.
  static func without(_ source: Checkpoint, _ model: ModelDescription) -> Checkpoint {
    var source = source
    source.replaceTensors(source.tensors.filter { !model.isOfPrediction($0.name) })
    return source
  }

  /// Of the tensors of a model, those of such blocks with what they share with it.
  /// - Throws: `Failure` if there are none.
  static func alone(_ pieces: [TensorPiece], _ model: ModelDescription, file: String) throws(Failure) -> [TensorPiece] {
    let shared: Set<TensorRole> = [.tokenEmbedding, .outputNorm, .output]
    guard pieces.contains(where: { model.isOfPrediction($0.source.name) }) else {
      throw Failure(
        .usage, "prediction.absent", "the checkpoint holds no complete blocks that predict further tokens and have a place in the output",
        file: file, remedy: "Leave \(setting: "mtp") out to convert the model.")
    }
    return pieces.filter { model.isOfPrediction($0.source.name) || $0.id.block == nil && shared.contains($0.id.role) }
  }
}
