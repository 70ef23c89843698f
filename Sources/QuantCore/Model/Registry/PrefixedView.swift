/// A checkpoint whose tensors lack the part of the model's class in their names: the inner model of a class with an output matrix was saved
/// (`embed_tokens.weight` for `model.embed_tokens.weight`). Clients load it all the same.
package enum PrefixedView {
  /// Describes a checkpoint; places have the names that are stored.
  /// - Throws: `Failure` of the family.
  package static func describe(
    _ checkpoint: Checkpoint, _ configuration: Configuration, by family: any ModelFamily.Type
  ) throws -> ModelDescription {
    let model = try family.describe(configuration, tensors: checkpoint)
    guard let prefix = missingPrefix(of: model, in: checkpoint) else { return model }
    var view = checkpoint
    var stored: [String: String] = [:]
    view.replaceTensors(
      checkpoint.tensors.map { tensor in
        let name = prefix + tensor.name
        guard model.tensors.contains(where: { $0.name(checkpoint.naming) == name }) else { return tensor }
        stored[name] = tensor.name
        return CheckpointTensor(name: name, shape: tensor.shape, storage: tensor.storage)
      })
    return try family.describe(configuration, tensors: view).replacingPlaces(checkpoint.naming) { place in
      var place = place
      place.name = stored[place.name] ?? place.name
      return place
    }
  }

  /// The first part of the names that all missing tensors are stored without; nil if nothing is missing, or something else is.
  private static func missingPrefix(of model: ModelDescription, in checkpoint: Checkpoint) -> String? {
    let missing = model.tensors.filter { !$0.isOptional }.compactMap { $0.name(checkpoint.naming) }.filter { checkpoint[$0] == nil }
    guard let first = missing.first, let dot = first.firstIndex(of: ".") else { return nil }
    let prefix = first[...dot]
    let isStored = missing.allSatisfy { $0.hasPrefix(prefix) && checkpoint[String($0.dropFirst(prefix.count))] != nil }
    return isStored ? String(prefix) : nil
  }
}
