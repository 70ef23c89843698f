import QuantCore

/// One mapped safetensors file with its tensors.
struct SafetensorsShard {
  let file: MappedFile
  let tensors: [CheckpointTensor]
  let metadata: KeyValues

  /// - Throws: `Failure` `input.…`, `st.…` or `limit.…` that names the file.
  init(_ path: String) throws(Failure) {
    file = try MappedFile(path)
    let contents = file.contents
    do {
      let header = try SafetensorsHeader(contents)
      metadata = header.metadata
      tensors = try header.entries.map { (entry) throws(Failure) in
        guard let bytes = contents.slice(entry.range) else {
          throw Failure(.data, "st.truncated", "lies outside the file", tensor: entry.name, byteOffset: entry.range.lowerBound)
        }
        return CheckpointTensor(name: entry.name, shape: entry.shape, storage: PlainStorage(entry.type, bytes))
      }
    } catch {
      throw error.inFile(path)
    }
  }
}

/// The name of a shard: `model-00002-of-00003.safetensors`.
struct ShardName: Equatable {
  let prefix: String
  /// Counted from 1.
  let number: Int
  let count: Int

  /// Nil where the name is not that of a shard.
  init?(_ name: String) {
    guard name.hasSuffix(".safetensors") else { return nil }
    let parts = name.dropLast(".safetensors".count).split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count >= 3, parts[parts.count - 2] == "of", let count = ShardName.number(parts[parts.count - 1]),
      let number = ShardName.number(parts[parts.count - 3]), number >= 1, number <= count
    else { return nil }
    self.number = number
    self.count = count
    prefix = parts.dropLast(3).joined(separator: "-")
  }

  private static func number(_ digits: Substring) -> Int? {
    digits.utf8.count == 5 && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } ? Int(digits) : nil
  }
}
