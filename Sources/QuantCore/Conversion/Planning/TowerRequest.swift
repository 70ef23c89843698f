/// What concerns conversions that write the towers of a model, or leave them out.
enum TowerRequest {
  /// Refuses what cannot be done with towers alone.
  /// - Throws: `Failure` of kind usage.
  static func check(_ request: ConversionRequest, _ source: Checkpoint, _ target: Target) throws(Failure) {
    guard request.writesTowers else { return }
    guard target.format.towerScheme != nil else {
      throw Failure(
        .usage, "tower.format", "format '\(target.format.id)' does not hold the towers of a model alone", file: request.output,
        remedy: "Write \(target.registry.outputs { ($0 as? any ModelFormat.Type)?.towerScheme != nil }) instead, or leave "
          + "\(setting: "mmproj") out: a folder made from a folder keeps its towers.")
    }
    guard source.naming != target.naming else {
      throw Failure(
        .usage, "tower.source", "only a folder holds towers beside its language model", file: request.input,
        remedy: "Give the folder of the model, or leave \(setting: "mmproj") out to convert this file.")
    }
    // llama.cpp loads towers from one file.
    let others: [(name: String, isGiven: Bool)] = [
      ("plugin", !request.methods.isEmpty), ("drop-blocks", !request.droppedBlocks.isEmpty), ("lora", !request.adapters.isEmpty),
      ("importance", request.importancePath != nil), ("kv-cache", request.keyValueCache != nil), ("pre", request.preTokenizer != nil),
      ("shard-size", request.shardSize != nil),
    ]
    for (name, isGiven) in others where isGiven {
      throw Failure(
        .usage, "tower.setting", "only towers are written, and a setting that was given does not apply to them", file: request.output,
        remedy: "Leave \(setting: name) out, or write the language model without \(setting: "mmproj").")
    }
  }

  /// How the towers that an output of the language model leaves out can be written: what follows a sentence that they are.
  static func way(
    of request: ConversionRequest, _ source: Checkpoint, _ model: ModelDescription?, _ target: Target, _ opening: Opening
  ) -> String {
    let isKnown = opening.tower(of: source) != nil
    guard target.format.towerScheme != nil, isKnown || model?.hasTowers == true else { return "" }
    do {
      _ = try opening.describeTowers(source)
    } catch {
      return "; --mmproj cannot write them: " + ((error as? Failure)?.message ?? "\(error)")
    }
    let name = Files.lastComponent(request.output)
    let beside = String(request.output.dropLast(name.count)) + "mmproj-" + name
    return "; 'qconvert \(request.input) \(beside) --mmproj' writes them"
  }
}
