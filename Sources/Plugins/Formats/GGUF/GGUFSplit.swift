import QuantCore

/// How the tensors of an output are split into files, as by gguf-split: `NAME-00001-of-00003.gguf`, each with keys that state its
/// index and the count.
struct GGUFSplit {
  /// One stored part with its indices in the request.
  typealias Part = (tensor: Int, part: Int, stored: StoredPart)

  /// The parts of each file.
  let files: [[Part]]
  private let prefix: String
  private let tensorCount: Int

  /// File numbers are stored in 16 bits.
  private static let maximumFiles = Int(UInt16.max)

  /// - Throws: `Failure` of kind usage if there are more files than can be numbered.
  init(_ request: OutputRequest) throws(Failure) {
    let parts = request.tensors.enumerated().map { index, tensor in
      tensor.parts.enumerated().map { part, stored in (tensor: index, part: part, stored: stored) }
    }
    tensorCount = parts.reduce(0) { $0 + $1.count }
    prefix = GGUFSplit.prefix(of: request.targetName + ".gguf") ?? request.targetName
    files = request.keepsSplit ? GGUFSplit.cut(parts, as: request) : GGUFSplit.cut(parts, limit: request.shardSize)
    guard files.count <= GGUFSplit.maximumFiles else {
      throw Failure(
        .usage, "gg.split.count", "would have \(files.count) shards, but at most \(GGUFSplit.maximumFiles) are possible",
        remedy: "Give a larger \(setting: "shard-size").")
    }
  }

  /// Tensors in order, cut where the next one would make a file's data larger than `limit`. A larger tensor gets a file of its own;
  /// the parts of one tensor stay together.
  private static func cut(_ tensors: [[Part]], limit: Int?) -> [[Part]] {
    var files: [[Part]] = [[]]
    var size = 0
    for parts in tensors {
      let bytes = parts.reduce(0) { $0 + GGUFFormat.aligned($1.stored.byteCount) }
      if let limit, size > 0, size + bytes > limit {
        files.append([])
        size = 0
      }
      files[files.count - 1] += parts
      size += bytes
    }
    return files
  }

  /// One file for each of the source's; tensors that the source does not have go into the last.
  private static func cut(_ tensors: [[Part]], as request: OutputRequest) -> [[Part]] {
    var files = [[Part]](repeating: [], count: max(1, request.source.files.count))
    for (tensor, parts) in zip(request.tensors, tensors) {
      files[request.source.fileIndices[tensor.sourceName] ?? files.count - 1] += parts
    }
    return files.filter { !$0.isEmpty }
  }

  /// Name of a file beside the target; empty for a single file, which is the target itself.
  func name(of file: Int) -> String { files.count > 1 ? prefix + GGUFSplit.suffix(file, files.count) : "" }

  /// Sets the keys that state the index of a file.
  func state(_ file: Int, in values: inout KeyValues) {
    guard files.count > 1 else { return }
    values["split.no"] = .u16(UInt16(clamping: file))
    values["split.count"] = .u16(UInt16(clamping: files.count))
    values["split.tensors.count"] = .i32(Int32(clamping: tensorCount))
  }

  // MARK: - Names

  /// `-00001-of-00003.gguf` for index 0 of 3.
  static func suffix(_ index: Int, _ count: Int) -> String {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "-\(padded(index + 1))-of-\(padded(count)).gguf"
  }

  /// The text before the numbers in the name of a shard; nil for a name without them.
  static func prefix(of name: String) -> String? {
    name.wholeMatch(of: #/(.+)-[0-9]{5}-of-[0-9]{5}[.]gguf/#).map { String($0.1) }
  }
}
