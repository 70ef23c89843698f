import CKernels
import QuantPlatform

/// Everything that the bytes of an output depend on: two runs with the same identity write the same bytes, so one can
/// continue the other. Threads and paths are not part of it. A test against the table of all settings checks that none is missing.
struct RunIdentity: Equatable {
  /// What is compared, in the order in which differences are reported.
  let facts: [(name: String, value: String)]

  init(_ plan: ConversionPlan) throws(Failure) {
    let request = plan.request
    var facts: [(name: String, value: String)] = [
      // The program's code, not just its version: a rebuilt program may round differently, a copy does not.
      ("program", QuantCoreInfo.version + " " + (try RunIdentity.program.get())),
      ("input", try RunIdentity.describe(plan.source.files)),
      ("formats", "\(plan.source.format) to \(plan.format.id)"),
      ("name of the output", Files.stem(of: request.output)),
      ("methods", request.methods.map { RunIdentity.describe($0.id, $0.options) }.joined(separator: " ")),
      ("choice of blocks", request.droppedBlocks.isEmpty ? "all" : "without \(Set(request.droppedBlocks).sorted())"),
      ("adapters", request.adapters.map { "\(Files.lastComponent($0.path)):\($0.factor)" }.joined(separator: " ")),
      ("scheme", (request.scheme ?? "default") + (request.isPure ? " pure" : "")),
      ("search", request.search.rawValue),
      (
        "rounding of activations",
        [request.activations ?? "preset", request.keyValueCache ?? "none", request.calibrator?.name ?? "preset"].joined(separator: " ")
      ),
      ("packing", [request.packing ?? "any", request.client ?? "any client"].joined(separator: " for ")),
      ("precision of products", request.calibration.precision.rawValue),
      ("scheme of the output matrix", request.outputScheme ?? "default"),
      ("scheme of the embedding", request.embeddingScheme ?? "default"),
      ("tensor rules", RunIdentity.describe([request.tensorRules, request.keptTensors, request.tensorTypes, request.droppedTensors])),
      ("edit of the metadata", RunIdentity.describe([request.metadataValues, request.droppedMetadata])),
      ("calibration", plan.calibration.map { $0.stored } ?? "none"),
      ("BOS", request.calibration.bos.map { $0 ? "on" : "off" } ?? "auto"),
      ("observed stream", plan.propagation.rawValue + (request.isTrueSequential ? ", true sequential" : "")),
      ("importance", RunIdentity.hash(plan.tensors.flatMap { $0.importance ?? [] })),
      ("statistics", try request.statisticsPath.map { path throws(Failure) in try RunIdentity.describe([path]) } ?? "none"),
      ("tokenizer", request.tokenizerPath.map { Files.lastComponent($0) } ?? "the input's"),
      ("pre-tokenizer", request.preTokenizer ?? "the tokenizer's"),
      ("treatment of values that are not finite", request.allowNonfinite ? "kept" : "refused"),
      ("treatment of quantized weights", request.allowRequantize ? "rounded again" : "not rounded again"),
      ("size of files", request.shardSize.map { String($0) } ?? (request.keepsSplit ? "as the input's" : "any")),
    ]
    // The order of summation depends on the vector unit.
    if plan.calibration != nil { facts.append(("vector unit", String(qc_cpu_level()))) }
    facts.append(("layout of the output", RunIdentity.describe(plan)))
    self.facts = facts
  }

  /// From the first line of a journal; nil if it does not identify a run.
  init?(_ json: JSON?) {
    guard let members = json?.objectValue else { return nil }
    facts = members.compactMap { member in member.value.stringValue.map { (name: member.key, value: $0) } }
  }

  var json: JSON { .object(facts.map { .init($0.name, .string($0.value)) }) }

  static func == (a: RunIdentity, b: RunIdentity) -> Bool {
    a.facts.count == b.facts.count && zip(a.facts, b.facts).allSatisfy { $0.name == $1.name && $0.value == $1.value }
  }

  /// Refuses to continue another run.
  /// - Throws: `Failure` `resume.changed` that names what changed.
  func check(earlier: RunIdentity, target: String) throws(Failure) {
    guard self != earlier else { return }
    let names = facts.map(\.name) + earlier.facts.map(\.name).filter { name in !facts.contains { $0.name == name } }
    let changed = names.filter { name in
      facts.first { $0.name == name }?.value != earlier.facts.first { $0.name == name }?.value
    }
    throw Failure(
      .usage, "resume.changed", "an unfinished run had another \(changed.joined(separator: ", another "))", file: target,
      remedy: "Give the options of that run to continue it, or \(setting: "force") without \(setting: "resume") to begin again.")
  }

  /// Distinguishes the running program from other builds, regardless of its path and time of installation: the linker's hash, or
  /// that of its file.
  private static let program = Result { () throws(Failure) in
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = qc_build_id(&bytes, bytes.count)
    if count > 0 { return bytes.prefix(count).withUnsafeBytes { Fingerprint.of($0) } }
    return try Fingerprint.of(files: [Platform.programPath ?? CommandLine.arguments.first ?? ""])
  }

  private static func describe(_ id: String, _ options: [String: String]) -> String {
    id + options.sorted { $0.key < $1.key }.map { ":\($0.key)=\($0.value)" }.joined()
  }

  /// Lists of texts as one text; different lists give different texts.
  private static func describe(_ lists: [[String]]) -> String {
    JSON.array(lists.map { .array($0.map { .string($0) }) }).text()
  }

  /// Names, sizes, modification times, and samples of the content: a copy may keep the times of another model's files.
  private static func describe(_ files: [String]) throws(Failure) -> String {
    var parts: [String] = []
    for file in files {
      var status = stat()
      guard stat(file, &status) == 0 else { throw Files.failure(errno, opening: file) }
      let time = Platform.modificationTime(status)
      let (bytes, hash) = try Fingerprint.ofSamples(file)
      parts.append("\(Files.lastComponent(file)) \(bytes) \(time.tv_sec).\(time.tv_nsec) \(hash)")
    }
    return parts.joined(separator: ", ")
  }

  /// A hash of all names, schemes, offsets and header bytes of the output.
  private static func describe(_ plan: ConversionPlan) -> String {
    let hash = StreamHash()
    func add(_ text: String) { Array(text.utf8).withUnsafeBytes { hash?.update($0) } }
    for tensor in plan.tensors { add("\(tensor.sourceName) \(tensor.name) \(tensor.scheme.name) \(type(of: tensor.packing).id)\n") }
    for place in plan.layout.placements { add("\(place.tensor) \(place.part) \(place.file) \(place.offset) \(place.byteCount)\n") }
    for file in plan.layout.files {
      add("\(file.name) \(file.size)\n")
      for literal in file.literals { literal.bytes.withUnsafeBytes { hash?.update($0) } }
    }
    return hash?.digest().hexadecimal ?? ""
  }

  private static func hash(_ values: [Float]) -> String {
    if values.isEmpty { return "none" }
    let hash = StreamHash()
    values.withUnsafeBytes { hash?.update($0) }
    return hash?.digest().hexadecimal ?? ""
  }
}
