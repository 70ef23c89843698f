/// What a run has finished, kept beside its unfinished output: lines of JSON, in the order in which the work was done.
///
/// The first line identifies the run (`RunIdentity`). Every other line describes bytes that were synced to the disk before
/// it was written: `{"tensor": …}` for an output tensor with the hashes of its parts, `{"block": …}` for a block with its
/// tensors and the hash of the hidden states after it, `{"complete": true}` once the output has been verified. A line
/// without its newline was interrupted and does not count. Each line ends with a hash of what is before it.
struct Journal {
  /// What was recorded of a tensor.
  struct Tensor {
    var index: Int
    /// One for each part.
    var hashes: [StreamHash.Digest]
    var report: ConversionReport.TensorReport
  }

  /// What was recorded of a block.
  struct Block {
    var index: Int
    /// Hash of the hidden states after it; nil if no hidden states are carried on.
    var hidden: StreamHash.Digest?
    var notes: [String]
    var tensors: [Tensor]
  }

  /// Everything that an earlier run recorded.
  struct Contents {
    var identity: RunIdentity
    var tensors: [Int: Tensor] = [:]
    var blocks: [Block] = []
    var isComplete = false
    /// Length of all complete lines in bytes.
    var length = 0
  }

  private static let maximumBytes = 1 << 30

  /// Reads the journal of a work folder; nil if there is nothing to continue.
  /// - Throws: `Failure` if the journal cannot be read, or a complete line of it is malformed.
  static func read(_ folder: WorkFolder) throws(Failure) -> Contents? {
    guard folder.hasLeftovers else { return nil }
    return try parse(Files.read(folder.journal, maximumBytes: maximumBytes), of: folder.path)
  }

  /// Reads the bytes of a journal; nil if it has no complete line.
  /// - Parameter path: the work folder, for messages.
  /// - Throws: `Failure` if a complete line is malformed.
  static func parse(_ bytes: [UInt8], of path: String) throws(Failure) -> Contents? {
    guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return nil }
    let lines = bytes[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    var contents: Contents?
    for line in lines {
      guard let content = checked(line), let json = try? JSON.parse(ByteView(content), .strict)
      else { throw damaged(path) }
      guard contents != nil else {
        guard let identity = RunIdentity(json["run"]) else { throw damaged(path) }
        contents = Contents(identity: identity)
        continue
      }
      guard contents?.add(json) == true else { throw damaged(path) }
    }
    contents?.length = end + 1
    return contents
  }

  static func damaged(_ folder: WorkFolder) -> Failure { damaged(folder.path) }

  private static func damaged(_ path: String) -> Failure {
    Failure(
      .data, "resume.damaged", "the work folder of an earlier run is damaged", file: path,
      remedy: "Give \(setting: "force") without \(setting: "resume") to begin again.")
  }

  static func line(_ json: JSON) -> [UInt8] { line(json.text()) }

  /// A text with its hash.
  static func line(_ text: String) -> [UInt8] { Array("\(text) \(Fingerprint.of(text))\n".utf8) }

  /// What a line says, if its hash is right.
  private static func checked(_ line: ArraySlice<UInt8>) -> [UInt8]? {
    guard let space = line.lastIndex(of: UInt8(ascii: " ")) else { return nil }
    let content = line[..<space]
    let hash = content.withUnsafeBytes { Fingerprint.of($0) }
    return line[(space + 1)...].elementsEqual(hash.utf8) ? Array(content) : nil
  }
}

extension Journal.Contents {
  /// Hashes of what is recorded, by placement.
  /// - Parameter placements: by tensor and part.
  func hashes(_ placements: [[Int]]) -> [Int: StreamHash.Digest] {
    var result: [Int: StreamHash.Digest] = [:]
    for tensor in tensors.values where placements.indices.contains(tensor.index) {
      for (place, hash) in zip(placements[tensor.index], tensor.hashes) { result[place] = hash }
    }
    return result
  }

  fileprivate mutating func add(_ json: JSON) -> Bool {
    if let tensor = Journal.Tensor(json) {
      tensors[tensor.index] = tensor
    } else if let block = Journal.Block(json), block.index == blocks.count {
      blocks.append(block)
      for tensor in block.tensors { tensors[tensor.index] = tensor }
    } else if json["complete"]?.boolValue == true {
      isComplete = true
    } else {
      return false
    }
    return true
  }
}

extension Journal.Tensor {
  init?(_ json: JSON) {
    guard let index = json["tensor"]?.intValue, index >= 0, let name = json["name"]?.stringValue, let scheme = json["scheme"]?.stringValue,
      let stored = json["hashes"]?.arrayValue
    else { return nil }
    let hashes = stored.compactMap { $0.stringValue.flatMap { StreamHash.Digest(hexadecimal: $0) } }
    guard hashes.count == stored.count else { return nil }
    self.index = index
    self.hashes = hashes
    report = ConversionReport.TensorReport(name: name, scheme: scheme)
    report.relativeError = json["error"]?.doubleValue
    report.seconds = json["seconds"]?.doubleValue
    report.record = RoundingRecord(damping: json["damping"]?.doubleValue, fallback: json["fallback"]?.stringValue)
    report.expertTokens = json["expert_tokens"]?.arrayValue?.compactMap(\.intValue) ?? []
  }

  var json: JSON {
    func number(_ value: Double?) -> JSON { value.map { .double($0) } ?? .null }
    return .object(
      [
        .init("tensor", .int(index)), .init("name", .string(report.name)), .init("scheme", .string(report.scheme)),
        .init("hashes", .array(hashes.map { .string($0.hexadecimal) })), .init("error", number(report.relativeError)),
        .init("seconds", number(report.seconds)), .init("damping", number(report.record.damping)),
        .init("fallback", report.record.fallback.map { .string($0) } ?? .null),
      ] + (report.expertTokens.isEmpty ? [] : [.init("expert_tokens", .array(report.expertTokens.map { .int($0) }))]))
  }
}

extension Journal.Block {
  init?(_ json: JSON) {
    guard let index = json["block"]?.intValue, let notes = json["notes"]?.arrayValue, let hidden = json["hidden"],
      let tensors = json["tensors"]?.arrayValue
    else { return nil }
    self.index = index
    self.hidden = hidden.stringValue.flatMap { StreamHash.Digest(hexadecimal: $0) }
    self.notes = notes.compactMap { $0.stringValue }
    self.tensors = tensors.compactMap { Journal.Tensor($0) }
    guard hidden.isNull || self.hidden != nil, self.tensors.count == tensors.count else { return nil }
  }

  var json: JSON {
    .object([
      .init("block", .int(index)), .init("hidden", hidden.map { .string($0.hexadecimal) } ?? .null),
      .init("notes", .array(notes.map { .string($0) })), .init("tensors", .array(tensors.map { $0.json })),
    ])
  }
}

extension StreamHash.Digest {
  /// The inverse of `hexadecimal`.
  init?(hexadecimal: String) {
    guard hexadecimal.utf8.count == 32, let high = UInt64(hexadecimal.prefix(16), radix: 16),
      let low = UInt64(hexadecimal.suffix(16), radix: 16)
    else { return nil }
    self.init(high: high, low: low)
  }
}

extension ConversionReport {
  /// Adds what was done by the earlier run that this one continues.
  mutating func add(_ earlier: Journal.Contents) {
    tensors += earlier.tensors.values.map { $0.report }
    notes += earlier.blocks.flatMap { $0.notes }
  }
}
