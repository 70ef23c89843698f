import ArgumentParser
import Logging
import QuantCore

/// `qconvert inspect PATH`: what a checkpoint holds, from its headers.
struct Inspect: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show container, architecture, tensors and metadata of a checkpoint.")

  @Argument(help: ArgumentHelp("File or folder.", valueName: "PATH"))
  var path: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Format of PATH. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path, format: from)
    for warning in checkpoint.warnings { session.log.warning("\(warning)") }
    let facts = CheckpointFacts(checkpoint, family: opening.family(of: checkpoint)?.id)
    try session.answer(facts.document, text: facts.text(style: session.outputStyle))
  }
}

/// The numbers and tables that `inspect` shows.
struct CheckpointFacts {
  /// Elements of a metadata array that are shown.
  private static let shownElements = 8
  /// Characters of a metadata text that are shown.
  private static let shownCharacters = 80

  let checkpoint: Checkpoint
  let family: String?
  /// Values of all numeric tensors.
  let parameterCount: Int
  /// Bytes of all tensors.
  let byteCount: Int
  let bitsPerWeight: Double

  init(_ checkpoint: Checkpoint, family: String?) {
    self.checkpoint = checkpoint
    self.family = family
    let numeric = checkpoint.tensors.filter { $0.storage.isNumeric }
    // Readers check each size against its file; only a sum over overlapping tensors could wrap.
    parameterCount = numeric.reduce(0) { CheckpointFacts.sum($0, $1.elementCount) }
    byteCount = checkpoint.tensors.reduce(0) { CheckpointFacts.sum($0, $1.storage.byteCount) }
    let numericBytes = numeric.reduce(0) { CheckpointFacts.sum($0, $1.storage.byteCount) }
    bitsPerWeight = parameterCount == 0 ? 0 : Double(numericBytes) * 8 / Double(parameterCount)
  }

  private static func sum(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : result
  }

  /// Facts, tensors, metadata.
  func text(style: Style) -> String {
    var facts: [(String, String)] = [
      ("path", checkpoint.path),
      ("container", checkpoint.format),
      ("architecture", checkpoint.configuration?.architecture ?? "unknown"),
      ("family", family ?? "unknown"),
      ("parameters", parameterCount.grouped),
      ("tensors", checkpoint.tensors.count.grouped),
      ("size", Wording.size(byteCount, bitsPerWeight)),
    ]
    if checkpoint.files.count > 1 { facts.append(("files", String(checkpoint.files.count))) }
    var text = ""
    for (name, value) in facts { text += name.padded(to: 14) + Wording.printable(value) + "\n" }
    var tensors = Table([("TENSOR", .left), ("SHAPE", .left), ("SCHEME", .left), ("BYTES", .right)])
    for tensor in checkpoint.tensors {
      tensors.add([tensor.name, Wording.shape(tensor.shape), tensor.storage.schemeName, tensor.storage.byteCount.grouped])
    }
    text += "\n" + tensors.text(style: style)
    guard !checkpoint.metadata.entries.isEmpty else { return text }
    var metadata = Table([("METADATA", .left), ("TYPE", .left), ("VALUE", .left)])
    for entry in checkpoint.metadata.entries {
      metadata.add([entry.key, entry.value.typeName, CheckpointFacts.shown(entry.value)])
    }
    return text + "\n" + metadata.text(style: style)
  }

  /// The value in one line: long texts and arrays are cut and say how long they are.
  private static func shown(_ value: MetadataValue) -> String {
    switch value.json(limit: shownElements) {
    case .string(let text):
      return text.count <= shownCharacters ? text : text.truncated(to: shownCharacters) + " (\(text.count.grouped) characters)"
    case .array(let elements):
      let start = elements.map { $0.stringValue.map { $0.truncated(to: 24) } ?? $0.text() }.joined(separator: ", ")
      guard let count = value.elementCount, count > elements.count else { return "[\(start)]" }
      return "[\(start), …] (\(count.grouped) elements)"
    case let scalar: return scalar.text()
    }
  }

  /// The same facts as JSON; metadata arrays say their length and hold no more than the first elements.
  var document: JSON {
    .object([
      .init("ok", .bool(true)),
      .init("path", .string(checkpoint.path)),
      .init("container", .string(checkpoint.format)),
      .init("architecture", JSONOutput.optional(checkpoint.configuration?.architecture)),
      .init("family", JSONOutput.optional(family)),
      .init("parameters", .int(parameterCount)),
      .init("bytes", .int(byteCount)),
      .init("bits_per_weight", .double(bitsPerWeight)),
      .init("files", JSONOutput.strings(checkpoint.files)),
      .init(
        "tensors",
        .array(
          checkpoint.tensors.map { tensor in
            .object([
              .init("name", .string(tensor.name)),
              .init("shape", JSONOutput.ints(tensor.shape)),
              .init("scheme", .string(tensor.storage.schemeName)),
              .init("bytes", .int(tensor.storage.byteCount)),
            ])
          })),
      .init(
        "metadata",
        .array(
          checkpoint.metadata.entries.map { entry in
            .object([
              .init("key", .string(entry.key)),
              .init("type", .string(entry.value.typeName)),
              .init("count", JSONOutput.optional(entry.value.elementCount)),
              .init("value", entry.value.json(limit: CheckpointFacts.shownElements)),
            ])
          })),
      .init("warnings", JSONOutput.strings(checkpoint.warnings)),
    ])
  }
}
