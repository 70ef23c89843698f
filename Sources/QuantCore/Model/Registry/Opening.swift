/// Opens checkpoints: finds the format, the family and the tokenizer for a path.
public struct Opening: Sendable {
  /// Where formats and families are looked up.
  public let registry: Registry

  public init(_ registry: Registry) { self.registry = registry }

  /// Opens a checkpoint.
  /// - Parameters:
  ///   - format: a format's id, or nil to recognize the format from the content.
  /// - Throws: `Failure` if the path does not exist, has no known format or is malformed, or if `configPath` would be unused.
  public func open(
    _ path: String, format: String? = nil, configPath: String? = nil, tokenizerPath: String? = nil
  ) throws -> Checkpoint {
    let options = OpenOptions(
      unpackers: registry.unpackers, weightFormats: registry.weightFormats, configPath: configPath, tokenizerPath: tokenizerPath)
    let checkpoint = try read(path, format, options)
    if configPath != nil, checkpoint.configuration?.keyValues != nil, checkpoint.content == .model {
      throw Failure(
        .usage, "usage.config", "the file contains its own configuration", file: path, remedy: "Leave \(setting: "config") out.")
    }
    return checkpoint
  }

  private func read(_ path: String, _ format: String?, _ options: OpenOptions) throws -> Checkpoint {
    if let format { return try registry.reader(format).open(path, options: options) }
    for candidate in registry.readers where candidate.recognises(path) {
      return try candidate.open(path, options: options)
    }
    // No format recognizes the content: the reader for that extension reports best what is wrong with it.
    let ending = path.lowercased()
    for candidate in registry.readers where candidate.fileExtensions.contains(where: { ending.hasSuffix("." + $0) }) {
      return try candidate.open(path, options: options)
    }
    if !Files.isFolder(path) {
      _ = try MappedFile(path)
    } else if try Files.list(path).contains("config.json") {
      // In a folder that may be listed but not entered, files seem not to exist.
      _ = try MappedFile(Files.join(path, "config.json"))
    }
    let known = registry.readers.map { $0.id }.joined(separator: ", ")
    throw Failure(
      .data, "input.wrong-kind", "this is not a checkpoint of a known format", file: path,
      remedy: "Give one of these formats: \(known). A folder needs config.json and its weights.")
  }

  /// The family that knows the checkpoint's architecture, or nil.
  public func family(of checkpoint: Checkpoint) -> (any ModelFamily.Type)? {
    guard let architecture = checkpoint.configuration?.architecture else { return nil }
    for family in registry.families where family.architectures(checkpoint.naming).contains(architecture) { return family }
    return nil
  }

  /// Describes the model of a checkpoint.
  /// - Throws: `Failure` of kind unsupported if there is no configuration or no family knows the architecture.
  public func describe(_ checkpoint: Checkpoint) throws -> ModelDescription {
    guard checkpoint.adapter == nil else {
      throw Failure(
        .unsupported, "model.adapter", "this is a LoRA adapter, not a model", file: checkpoint.path,
        remedy: "Give its model, and merge the adapter into it with \(setting: "lora").")
    }
    guard let configuration = checkpoint.configuration else {
      throw Failure(
        .unsupported, "model.no-config", "this file comes without a config.json, so its architecture is unknown",
        file: checkpoint.path,
        remedy: "Give \(setting: "config") FILE, or the folder that holds both; to read text, give \(setting: "tokenizer") PATH too.")
    }
    if configuration.architecture == nil, let json = configuration.json { throw classless(checkpoint, json) }
    guard let family = family(of: checkpoint) else {
      let name = configuration.architecture ?? "(none)"
      let known = registry.families.flatMap { $0.architectures(checkpoint.naming) }.joined(separator: ", ")
      throw Failure(
        .unsupported, "model.architecture", "architecture '\(name)' is not known", file: checkpoint.path,
        remedy: "Convert within one format and without calibration, or choose a known architecture: \(known).")
    }
    try checkpoint.checkWeightsAreKnown()
    // Families describe floats; the codes of stacks may be transposed relative to them.
    let codes = Set(checkpoint.stacksOfCodes(registry.packings))
    let model = try PrefixedView.describe(checkpoint, configuration, by: family)
    try UnannouncedBiases.check(checkpoint, model) { try? family.describe($0, tensors: checkpoint) }
    return codes.isEmpty
      ? model : model.replacingPlaces(checkpoint.naming) { codes.contains($0.name) && $0.layout.isTransposed ? $0.turned : $0 }
  }

  /// Why a configuration that names no class describes nothing, with the class that its type of model suggests.
  private func classless(_ checkpoint: Checkpoint, _ configuration: JSON) -> Failure {
    let type = configuration["model_type"]?.stringValue?.filter { $0 != "_" }.lowercased()
    let known = registry.families.flatMap { $0.architectures(checkpoint.naming) }
    let suggested = type.flatMap { type in known.first { $0.lowercased() == type + "forcausallm" } } ?? "CLASS"
    return Failure(
      .unsupported, "model.architecture", "the configuration names no class of models ('architectures')", file: checkpoint.path,
      remedy: "Convert within one format and without calibration, or add \"architectures\": [\"\(suggested)\"] to config.json"
        + " (or to a copy that is given with \(setting: "config")), if that is the model's class.")
  }

  /// The description of the towers of a checkpoint's class, or nil.
  public func tower(of checkpoint: Checkpoint) -> (any TowerFamily.Type)? {
    guard let architecture = checkpoint.configuration?.architecture else { return nil }
    return registry.towers.first { $0.architectures(checkpoint.naming).contains(architecture) }
  }

  /// Describes the towers of a checkpoint.
  /// - Throws: `Failure` `tower.unknown` if none is known for its class; that of the tower if it does not support this variant.
  public func describeTowers(_ checkpoint: Checkpoint) throws -> ModelDescription {
    guard let tower = tower(of: checkpoint) else {
      let name = checkpoint.configuration?.architecture ?? "(none)"
      let known = registry.towers.flatMap { $0.architectures(checkpoint.naming) }.joined(separator: ", ")
      throw Failure(
        .unsupported, "tower.unknown", "no towers are known for architecture '\(name)'", file: checkpoint.path,
        remedy: "Leave \(setting: "mmproj") out to convert the language model; towers are known for \(known).")
    }
    var model = try tower.describe(checkpoint.configuration ?? Configuration(KeyValues(), architecture: nil), tensors: checkpoint)
    model.isOfTowers = true
    return model
  }

  /// The tokenizer of a checkpoint.
  /// - Parameters:
  ///   - path: a tokenizer file or folder to use instead of the checkpoint's own.
  ///   - preTokenizer: a name that overrides the one found from the pattern.
  public func tokenizer(
    for checkpoint: Checkpoint, path: String? = nil, preTokenizer: String? = nil
  ) throws -> any Tokenizer {
    if let path { return try Tokenizers.load(path: path, preTokenizer: preTokenizer) }
    if var data = try registry.reader(of: checkpoint)?.tokenizer(of: checkpoint) {
      do {
        if let preTokenizer {
          guard data.kind == .byteLevelBPE else { throw Tokenizers.unusedPreTokenizer(file: checkpoint.path) }
          data.preTokenizer = preTokenizer
        }
        return try Tokenizers.make(data)
      } catch let failure as Failure {
        throw failure.inFile(checkpoint.path)
      }
    }
    guard let folder = checkpoint.companionFolder else {
      throw Failure(
        .unsupported, "tokenizer.missing", "there is no tokenizer beside this file", file: checkpoint.path,
        remedy: "Give \(setting: "tokenizer") PATH.")
    }
    return try Tokenizers.load(path: folder, preTokenizer: preTokenizer)
  }
}
