import QuantCore

/// `model.safetensors.index.json` or similar: which shard holds which tensor.
struct ShardIndex {
  /// The shard of each tensor, by name.
  let weightMap: [String: String]
  /// Names of all shards, sorted.
  let shards: [String]
  /// The bytes of all tensors, if the index says.
  let totalSize: Int?

  /// - Throws: `Failure` `input.…`, `json.…`, `hf.index.…`.
  init(_ path: String) throws(Failure) {
    let json: JSON
    do {
      json = try JSON.load(path)
    } catch {
      guard error.id == "json.duplicate-key" else { throw error }
      var failure = error
      failure.id = "hf.index.duplicate"
      throw failure
    }
    guard let members = json["weight_map"]?.objectValue else {
      throw Failure(.data, "hf.index.weight-map", "has no object 'weight_map'", file: path, byteOffset: 0)
    }
    var map: [String: String] = [:]
    for member in members {
      guard let shard = member.value.stringValue else {
        throw Failure(.data, "hf.index.weight-map", "does not name a file for this tensor", file: path, tensor: member.key, byteOffset: 0)
      }
      guard Files.isPlainName(shard), !shard.utf8.contains(where: { $0 < 0x20 }) else {
        throw Failure(
          .data, "hf.index.path", "names \(member.value.text()), which is not a plain file name", file: path,
          tensor: member.key, byteOffset: 0)
      }
      map[member.key] = shard
    }
    weightMap = map
    shards = Set(map.values).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    totalSize = json["metadata"]?["total_size"]?.intValue
  }
}
