import ArgumentParser
import Logging
import QuantCore

/// `qconvert inspect PATH`: what a checkpoint holds, from its headers; whether floats lie on a grid, from a sample of rows.
struct Inspect: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show the format, architecture, schemes and clients of a checkpoint, from its headers and a sample of its weights.")

  @Argument(help: ArgumentHelp("Checkpoint to show: a file or a folder.", valueName: "PATH"))
  var path: String

  @Option(name: .shortAndLong, help: ArgumentHelp("Read PATH as this format. (default: by content)", valueName: "FORMAT"))
  var from: String?

  @Flag(help: "List every tensor.")
  var tensors = false

  @Flag(help: "List the metadata.")
  var metadata = false

  @OptionGroup var global: GlobalOptions

  func run(_ registry: Registry, _ session: Session) throws {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path, format: from)
    session.warn(about: checkpoint)
    let facts = CheckpointFacts(checkpoint, opening, findsLattices: true)
    var text = facts.text(style: session.outputStyle)
    if tensors { text += "\n" + facts.tensorList(style: session.outputStyle) }
    if metadata {
      text += "\n" + (checkpoint.metadata.entries.isEmpty ? "no metadata\n" : facts.metadataList(style: session.outputStyle))
    }
    try session.answer(facts.document, text: text)
  }
}

/// The facts and tables that `inspect` shows.
struct CheckpointFacts {
  /// How many elements of a metadata array are shown.
  private static let shownElements = 8
  /// How many characters of a metadata text are shown.
  private static let shownCharacters = 80

  let checkpoint: Checkpoint
  let family: String?
  /// Elements of all numeric tensors.
  let parameterCount: Int
  /// Bytes of all tensors.
  let byteCount: Int
  let bitsPerWeight: Double

  /// Ids of the clients that load it.
  let clients: [String]
  /// Tensors grouped by purpose and scheme, the largest group first.
  let groups: [Group]
  /// Names of matrices that are stored as floats but lie on the grid of a scheme, by the scheme's name, in the order of the schemes.
  let lattices: [(scheme: String, tensors: [String])]

  /// Tensors of one purpose that are stored in one scheme.
  struct Group {
    var purpose: String
    var scheme: String
    var count = 0
    var values = 0
    var bytes = 0
  }

  /// - Parameter findsLattices: whether to look at weights.
  init(_ checkpoint: Checkpoint, _ opening: Opening, findsLattices: Bool = false) {
    self.checkpoint = checkpoint
    family = opening.family(of: checkpoint)?.id
    let model = try? opening.describe(checkpoint)
    let fits = CheckpointFacts.fits(checkpoint, model)
    clients = opening.registry.clients.filter { client in
      fits && ClientLoading.obstacle(of: client, version: client.version, to: checkpoint, model) == nil
        && ClientLoading.caution(of: client, version: client.version, to: checkpoint, model) == nil
    }.map { $0.id }
    groups = CheckpointFacts.groups(checkpoint, model)
    lattices = findsLattices ? CheckpointFacts.lattices(checkpoint, opening.registry) : []
    let numeric = checkpoint.tensors.filter { $0.storage.isNumeric }
    // Readers check each size against its file; only a sum over overlapping tensors could overflow.
    parameterCount = numeric.reduce(0) { CheckpointFacts.sum($0, $1.elementCount) }
    byteCount = checkpoint.tensors.reduce(0) { CheckpointFacts.sum($0, $1.storage.byteCount) }
    let numericBytes = numeric.reduce(0) { CheckpointFacts.sum($0, $1.storage.byteCount) }
    bitsPerWeight = parameterCount == 0 ? 0 : Double(numericBytes) * 8 / Double(parameterCount)
  }

  /// Whether nothing is known that would keep clients from computing with the checkpoint: an error in it, or a tensor of the model that is
  /// missing or has another shape.
  private static func fits(_ checkpoint: Checkpoint, _ model: ModelDescription?) -> Bool {
    guard !checkpoint.findings.contains(where: { $0.severity == .error }) else { return false }
    return (model?.tensors ?? []).allSatisfy { tensor in
      guard let place = tensor.place(checkpoint.naming) else { return true }
      return checkpoint[place.name].map { $0.shape == place.shape || $0.shape == Array(place.shape.drop { $0 == 1 }) } ?? tensor.isOptional
    }
  }

  private static func groups(_ checkpoint: Checkpoint, _ model: ModelDescription?) -> [Group] {
    var kinds: [String: TensorKind] = [:]
    for tensor in model?.tensors ?? [] { tensor.name(checkpoint.naming).map { kinds[$0] = tensor.kind } }
    var groups: [Group] = []
    for tensor in checkpoint.tensors {
      let purpose = kinds[tensor.name]?.name ?? (tensor.shape.count > 1 ? "matrices" : "vectors")
      let scheme = tensor.storage.schemeName
      let index =
        groups.firstIndex { $0.purpose == purpose && $0.scheme == scheme }
        ?? {
          groups.append(Group(purpose: purpose, scheme: scheme))
          return groups.count - 1
        }()
      groups[index].count += 1
      groups[index].values = sum(groups[index].values, tensor.elementCount)
      groups[index].bytes = sum(groups[index].bytes, tensor.storage.byteCount)
    }
    return groups.sorted { ($0.bytes, $1.purpose) > ($1.bytes, $0.purpose) }
  }

  /// If so many matrices of a model, evenly distributed, lie on no grid, the others are not looked at.
  private static let sampledMatrices = 512

  private static func lattices(_ checkpoint: Checkpoint, _ registry: Registry) -> [(scheme: String, tensors: [String])] {
    let schemes = registry.latticeSchemes(modelType: checkpoint.modelType)
    let matrices = checkpoint.tensors.filter { $0.shape.count > 1 && $0.storage.elementType?.isFloat == true }
    func lattice(of tensor: CheckpointTensor) -> Int? { schemes.firstIndex { tensor.lies(on: $0) } }
    let sample = stride(from: 0, to: matrices.count, by: max(1, matrices.count / sampledMatrices))
    guard sample.contains(where: { lattice(of: matrices[$0]) != nil }) else { return [] }
    var found = schemes.map { (scheme: $0.name, tensors: [String]()) }
    for tensor in matrices {
      if let index = lattice(of: tensor) { found[index].tensors.append(tensor.name) }
    }
    return found.filter { !$0.tensors.isEmpty }
  }

  private static func sum(_ a: Int, _ b: Int) -> Int {
    let (result, overflow) = a.addingReportingOverflow(b)
    return overflow ? .max : result
  }

  /// How inputs of layers and caches are rounded; nil: not at all.
  private var activations: String? {
    let inputs = Set(checkpoint.activations.inputs.values.map { $0.scheme.name }).sorted()
    let parts = inputs + Set(checkpoint.activations.caches.values.map { "\($0.scheme.element.rawValue) cache" }).sorted()
    return parts.isEmpty ? nil : parts.joined(separator: ", ")
  }

  /// The tool that wrote it, according to its metadata.
  private var tool: String? {
    if let version = checkpoint.metadata["qconvert.version"]?.stringValue { return "qconvert \(version)" }
    return checkpoint.metadata["general.quantized_by"]?.stringValue
  }

  private static func document(_ adapter: LowRankAdapter) -> JSON {
    .object([
      .init("type", .string("lora")), .init("ranks", JSONOutput.ints(adapter.ranks)), .init("alpha", .shortest(adapter.alpha)),
      .init("matrices", .int(adapter.updates.count)), .init("replaced", JSONOutput.strings(adapter.replacements.map(\.name))),
      .init("base", JSONOutput.optional(adapter.baseModel)),
    ])
  }

  private static func text(_ adapter: LowRankAdapter) -> String {
    let ranks = adapter.ranks.map { String($0) }.joined(separator: ", ")
    let changed = "\(adapter.updates.count.grouped) matrices changed"
    var parts = ["LoRA of rank \(ranks)", "alpha \(JSON.shortest(adapter.alpha).text())", changed]
    if !adapter.replacements.isEmpty { parts.append("\(adapter.replacements.count.grouped) tensors replaced") }
    if let base = adapter.baseModel { parts.append("for \(base)") }
    return parts.joined(separator: ", ")
  }

  /// What fits on one screen.
  func text(style: Style) -> String {
    var facts: [(String, String)] = [
      ("path", checkpoint.path),
      ("format", checkpoint.format),
      ("architecture", checkpoint.configuration?.architecture ?? "unknown"),
      ("family", family ?? "unknown"),
      ("parameters", parameterCount.grouped),
      ("tensors", checkpoint.tensors.count.grouped),
      ("size", Wording.size(byteCount, bitsPerWeight)),
    ]
    if checkpoint.files.count > 1 { facts.append(("files", String(checkpoint.files.count))) }
    if let quantization = checkpoint.quantization { facts.append(("quantization", quantization)) }
    if let activations { facts.append(("activations", activations)) }
    if !lattices.isEmpty {
      let counts = lattices.map { "\($0.tensors.count.grouped) on the grid of \($0.scheme)" }
      facts.append(("lattices", counts.joined(separator: ", ")))
    }
    if let adapter = checkpoint.adapter { facts.append(("adapter", CheckpointFacts.text(adapter))) }
    if let tool { facts.append(("made by", tool)) }
    if let methods = checkpoint.metadata["qconvert.methods"]?.stringValue { facts.append(("methods", methods)) }
    facts.append(("loaded by", clients.isEmpty ? "no known client" : clients.joined(separator: ", ")))
    var text = ""
    for (name, value) in facts { text += name.padded(to: 14) + Wording.printable(value) + "\n" }
    var table = Table([("KIND", .left), ("SCHEME", .left), ("TENSORS", .right), ("WEIGHTS", .right), ("BYTES", .right), ("BITS", .right)])
    for group in groups {
      let bits = group.values == 0 ? "" : (Double(group.bytes) * 8 / Double(group.values)).fixed(3)
      table.add([group.purpose, group.scheme, group.count.grouped, group.values.grouped, group.bytes.grouped, bits])
    }
    return text + "\n" + table.text(style: style)
  }

  /// A table of every tensor.
  func tensorList(style: Style) -> String {
    let grids = Dictionary(
      lattices.flatMap { lattice in lattice.tensors.map { ($0, lattice.scheme) } }, uniquingKeysWith: { first, _ in first })
    var tensors = Table([("TENSOR", .left), ("SHAPE", .left), ("SCHEME", .left), ("BYTES", .right)])
    for tensor in checkpoint.tensors {
      let scheme = tensor.storage.schemeName + (grids[tensor.name].map { " on \($0)" } ?? "")
      tensors.add([tensor.name, Wording.shape(tensor.shape), scheme, tensor.storage.byteCount.grouped])
    }
    return tensors.text(style: style)
  }

  func metadataList(style: Style) -> String {
    var metadata = Table([("METADATA", .left), ("TYPE", .left), ("VALUE", .left)])
    for entry in checkpoint.metadata.entries {
      metadata.add([entry.key, entry.value.typeName, CheckpointFacts.shown(entry.value)])
    }
    return metadata.text(style: style)
  }

  /// The value in one line: long texts and arrays are cut and followed by their length.
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

  /// The same facts as JSON; metadata arrays are cut to their first elements, with the length beside them.
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
      .init("quantization", JSONOutput.optional(checkpoint.quantization)),
      .init("packing", JSONOutput.optional(checkpoint.packing)),
      .init("activations", JSONOutput.optional(activations)),
      .init(
        "lattices",
        .array(lattices.map { .object([.init("scheme", .string($0.scheme)), .init("tensors", JSONOutput.strings($0.tensors))]) })),
      .init("adapter", checkpoint.adapter.map { CheckpointFacts.document($0) } ?? .null),
      .init("clients", JSONOutput.strings(clients)),
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
      .init("warnings", JSONOutput.strings(checkpoint.cautions)),
    ])
  }
}
