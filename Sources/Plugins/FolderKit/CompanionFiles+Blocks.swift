public import QuantCore

extension CompanionFiles {
  /// Keys of a `config.json` that are the number of blocks, or of the first ones of a kind, and lists by block.
  private static let counts = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"]
  private static let leadingCounts = ["max_window_layers", "first_k_dense_replace"]
  private static let lists = ["layer_types", "mlp_layer_types", "no_rope_layers"]

  /// Has the `config.json` of a checkpoint say that some blocks are gone.
  /// - Throws: `Failure` `blocks.configuration` where it does not say how many there are.
  public static func drop(_ blocks: DroppedBlocks, from checkpoint: inout Checkpoint) throws(Failure) {
    guard let configuration = checkpoint.configuration, let json = configuration.json else { return }
    var isCounted = false
    let members = edited(json.objectValue ?? [], blocks, &isCounted)
    guard isCounted else {
      throw blocks.notCounted(file: checkpoint.path, remedy: "Known keys: \(counts.joined(separator: ", ")).")
    }
    checkpoint.configuration = Configuration(.object(members), architecture: configuration.architecture)
  }

  private static func edited(_ members: [JSON.Member], _ blocks: DroppedBlocks, _ isCounted: inout Bool) -> [JSON.Member] {
    members.map { member in
      // The language model of one with a vision tower.
      if member.key == "text_config", let inner = member.value.objectValue {
        return JSON.Member(member.key, .object(edited(inner, blocks, &isCounted)))
      }
      if counts.contains(member.key), member.value.intValue == blocks.count {
        isCounted = true
        return JSON.Member(member.key, .int(blocks.left))
      }
      if leadingCounts.contains(member.key), let number = member.value.intValue {
        return JSON.Member(member.key, .int(blocks.left(ofFirst: number)))
      }
      if lists.contains(member.key), let values = member.value.arrayValue {
        return JSON.Member(member.key, .array(blocks.cut(values)))
      }
      return member
    }
  }
}
