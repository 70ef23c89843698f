/// What is written: the format, the packings that may be used in it, and the client that must be able to load it.
struct Target {
  /// Path of the output.
  let path: String
  let format: any ModelFormat.Type
  /// The packings that may be used, the most preferred first.
  private(set) var packings: [any Packing]
  /// Nil if no particular client is asked for.
  let client: Client?
  let registry: Registry

  /// - Throws: `Failure` of kind usage for an unknown format, packing or client, or if they do not go together.
  init(_ request: ConversionRequest, _ registry: Registry) throws {
    path = request.output
    self.registry = registry
    format = try Target.modelFormat(of: request, registry)
    client = try request.client.map { name throws(Failure) in try Client(named: name, registry) }
    packings = try Target.packings(of: format, for: client, request, registry)
  }

  /// The same with the packings that one configuration can describe together: the kind of the most preferred that has one.
  var describingOneKind: Target {
    func kind(_ packing: any Packing) -> String? { (packing as? any FolderPacking)?.configurationKind }
    var target = self
    let first = packings.lazy.compactMap { kind($0) }.first
    target.packings = packings.filter { kind($0) == first || kind($0) == nil }
    return target
  }

  /// What tensors have in common that clients join into one matrix, which therefore need one type; nil for a tensor that stands alone.
  /// Without a client, those of all clients that read the packings count.
  func jointKey(_ id: TensorID?) -> String? {
    guard let id, let block = id.block, !id.isBias else { return nil }
    let used = Set(packings.map { type(of: $0).id }).subtracting([PlainPacking.id])
    let readers = registry.clients.filter { $0.formats.contains(format.id) && !used.isDisjoint(with: $0.packings) }
    let joints = (client.map { [$0.profile] } ?? readers).flatMap { $0.jointLayers }
    guard let joint = joints.first(where: { $0.contains(id.role) }) else { return nil }
    // All experts of a block are computed together, and so are both of their steps.
    return id.expert != nil ? "blocks.\(block).experts" : "blocks.\(block)." + joint.map(\.rawValue).joined(separator: "+")
  }

  /// How its tensors are named.
  var naming: Naming { format.naming }

  /// The format that a model is written in: the one requested, or the one that the name of the output implies.
  /// - Throws: `Failure` of kind usage if no format writes this.
  static func modelFormat(of request: ConversionRequest, _ registry: Registry) throws -> any ModelFormat.Type {
    try format(of: request, registry, for: .model) { $0 as? any ModelFormat.Type }
  }

  /// The same for an adapter.
  /// - Throws: `Failure` of kind usage if no format writes this.
  static func adapterFormat(of request: ConversionRequest, _ registry: Registry) throws -> any AdapterFormat.Type {
    try format(of: request, registry, for: .adapter) { $0 as? any AdapterFormat.Type }
  }

  /// - Parameters:
  ///   - content: what is written.
  ///   - holder: casts a format to one that can hold this; nil for one that cannot.
  private static func format<Format>(
    of request: ConversionRequest, _ registry: Registry, for content: CheckpointContent,
    holder: (any CheckpointFormat.Type) -> Format?
  ) throws -> Format {
    let able = registry.formats.filter { holder($0) != nil }
    let format = try chosenFormat(request, among: able, registry)
    guard let result = holder(format) else {
      throw Failure(
        .usage, "output.content", "format '\(format.id)' does not hold \(content.rawValue)s", file: request.output,
        remedy: "Give \(setting: "to") with one that does: \(able.map { $0.id }.joined(separator: ", ")).")
    }
    if request.shardSize != nil || request.keepsSplit, !format.splits {
      let setting = request.shardSize != nil ? "shard-size" : "keep-split"
      throw Failure(
        .usage, "output.shard-size", "format '\(format.id)' writes one file, which cannot be split", file: request.output,
        remedy: "Leave \(setting: setting) out, or write \(registry.outputs { $0.splits && $0.contents.contains(content) }).")
    }
    if !(request.metadataValues + request.droppedMetadata).isEmpty, !format.holdsKeyValues {
      throw Failure(
        .usage, "metadata.format", "format '\(format.id)' has no metadata that can be edited", file: request.output,
        remedy: "Leave \(setting: "set-meta") and \(setting: "drop-meta") out, or write \(registry.outputs { $0.holdsKeyValues }).")
    }
    if !format.isFolder, request.output.hasSuffix("/") {
      throw Failure(
        .usage, "output.format", "names a folder, but format '\(format.id)' writes a file", file: request.output,
        remedy: "Remove the slash at the end.")
    }
    return result
  }

  /// - Parameter able: formats that can hold what is written; if it is a folder, it has one of these.
  private static func chosenFormat(
    _ request: ConversionRequest, among able: [any CheckpointFormat.Type], _ registry: Registry
  ) throws -> any CheckpointFormat.Type {
    if let id = request.toFormat { return try registry.format(id) }
    let name = Files.lastComponent(request.output).lowercased()
    for format in registry.formats where format.fileExtensions.contains(where: { name.hasSuffix("." + $0) }) { return format }
    if let ending = Files.fileExtension(of: name), ["bin", "pt", "pth", "onnx", "ggml", "npz"].contains(ending) {
      let endings = registry.formats.flatMap { $0.fileExtensions }.map { "." + $0 }.joined(separator: " or ")
      throw Failure(
        .usage, "output.format", "cannot write '.\(ending)' files", file: request.output,
        remedy: "Give a name that ends in \(endings), or a folder's name.")
    }
    for format in able where format.isFolder { return format }
    throw Failure(.usage, "output.format", "no format writes this", file: request.output, remedy: "Give \(setting: "to") FORMAT.")
  }

  /// The packings that may be used, the most preferred first: those of the format that the client reads, or the one that was
  /// asked for.
  /// - Throws: `Failure` of kind usage for an unknown packing or client, and if no packing is left.
  private static func packings(
    of format: any CheckpointFormat.Type, for client: Client?, _ request: ConversionRequest, _ registry: Registry
  ) throws(Failure) -> [any Packing] {
    var packings = registry.packings(of: format, asked: request.packing)
    func id(_ packing: any Packing) -> String { type(of: packing).id }
    if let client {
      guard client.profile.formats.contains(format.id) else {
        throw Failure(
          .usage, "client.format", "\(client.profile.id) does not load format '\(format.id)'", file: request.output,
          remedy: "Choose a format that it loads: \(client.profile.formats.joined(separator: ", ")).")
      }
      let order = client.profile.packings
      let read = packings.filter { order.contains(id($0)) }.sorted {
        (order.firstIndex(of: id($0)) ?? 0) < (order.firstIndex(of: id($1)) ?? 0)
      }
      packings = packings.filter { id($0) == PlainPacking.id } + read
    }
    if let wanted = request.packing {
      guard registry.packings.contains(where: { id($0) == wanted }) else {
        if registry.unpackers.contains(where: { type(of: $0).id == wanted }) {
          throw Failure(
            .usage, "packing.read-only", "packing '\(wanted)' can be read but not written", file: request.output,
            remedy: "Choose one of: \(packings.map { id($0) }.joined(separator: ", ")).")
        }
        throw Registry.unknown("packing", "packing.unknown", wanted, among: registry.packings.map { id($0) })
      }
      guard packings.contains(where: { id($0) == wanted }) else {
        throw Failure(
          .usage, "packing.format",
          "'\(wanted)' is not a packing of format '\(format.id)'" + (request.client.map { " that \($0) reads" } ?? ""),
          file: request.output, remedy: "Choose one of: \(packings.map { id($0) }.joined(separator: ", ")).")
      }
      packings = packings.filter { [PlainPacking.id, wanted].contains(id($0)) }
    }
    return packings
  }

  /// - Parameter cache: how cached keys and values are rounded; nil: not at all.
  /// - Throws: `Failure` `client.refuses` if the client would not compute with all layers together.
  func checkFolder(_ tensors: [PlannedTensor], cache: ActivationScheme?, _ source: Checkpoint, model: ModelDescription?) throws(Failure) {
    guard let client else { return }
    var folder = folder(tensors, source, model)
    folder.cache = cache
    guard let obstacle = client.profile.obstacle(folder, version: client.version) else { return }
    throw Failure(
      .unsupported, "client.refuses", "\(client.profile.id) \(client.version) \(obstacle.reason)", file: path,
      remedy: obstacle.remedy)
  }

  /// What a person must know to load the output: with the client that was asked for, else with any that reads its packings.
  func cautions(_ tensors: [PlannedTensor], _ source: Checkpoint, model: ModelDescription?) -> [String] {
    let folder = folder(tensors, source, model)
    let used = Set(folder.quantized.map(\.packing))
    let readers = registry.clients.filter { $0.formats.contains(format.id) && used.isSubset(of: $0.packings) }
    let clients = client.map { [($0.profile, $0.version)] } ?? readers.map { ($0, $0.version) }
    return clients.compactMap { profile, version in
      profile.caution(folder, version: version).map { "\(profile.id) \(version) \($0)" }
    }
  }

  private func folder(_ tensors: [PlannedTensor], _ source: Checkpoint, _ model: ModelDescription?) -> ClientFolder {
    let configuration = naming == source.naming ? source.configuration : model?.configurations[naming]
    var folder = ClientFolder(configuration)
    for tensor in tensors {
      let isCoded = tensor.scheme.grid.kind != .float
      folder.add(
        tensor.name, shape: tensor.shape, id: tensor.id,
        isCoded ? (type(of: tensor.packing).id, tensor.scheme.grid, tensor.activations) : nil, model: model)
    }
    return folder
  }

  /// Whether a scheme or preset for the whole model, or `keep`, makes codes of weights.
  func storesCodes(_ wanted: String, modelType: ElementType) -> Bool {
    if wanted == OrderedMix.name { return true }
    let name = registry.preset(wanted).map { $0.pureScheme ?? wanted } ?? wanted
    return (try? registry.scheme(name, modelType: modelType)).map { $0.grid.kind != .float } ?? false
  }

  /// Common schemes that fit rows of this length and that the format can hold.
  func fitting(_ columns: Int) -> [String] {
    let packings = registry.packings(of: format)
    return ["int4-g128", "int4-g64", "int4-g32", "int4-channel", "int8-channel", "q4_k", "q4_0", "q8_0", "f16"].filter { name in
      guard let scheme = try? registry.scheme(name, modelType: .f16) else { return false }
      return scheme.fits(columns: columns) && packings.contains { $0.holds(scheme.grid) }
    }
  }
}
