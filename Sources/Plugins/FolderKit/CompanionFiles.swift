public import QuantCore

/// The configuration of a model and the folder that holds its tokenizer.
public struct CompanionFiles: Sendable {
  /// `config.json`, or nil where there is none.
  public let configuration: Configuration?
  /// How the weights are quantized according to the configuration or to a file of its own, or nil.
  public let quantization: JSON?
  /// Whether a file of its own says so, and the configuration does not.
  private let isBeside: Bool
  /// What is wrong between the files.
  public let findings: [Finding]
  /// Where tokenizer and generation files lie, or nil where there are none.
  public let companionFolder: String?
  /// Files that were read.
  public let files: [String]

  /// Older tools write the quantization beside the configuration.
  public static let quantizationFiles = ["hf_quant_config.json", "quantize_config.json", "quant_config.json"]
  private static let tokenizerFiles = [
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model",
  ]

  /// - Throws: `Failure` `input.…` or `json.…` for files that are there but unreadable.
  public init(folder: String, options: OpenOptions) throws(Failure) {
    if Files.isFolder(folder) {
      try CompanionFiles.checkReadable(
        ["config.json"] + CompanionFiles.quantizationFiles + CompanionFiles.tokenizerFiles,
        in: folder)
    }
    var files: [String] = []
    let path = options.configPath ?? Files.join(folder, "config.json")
    var configuration: JSON?
    if options.configPath != nil || Files.exists(path) {
      let json = try JSON.load(path)
      guard json.objectValue != nil else {
        throw Failure(.data, "hf.config.not-object", "is not a JSON object", file: path, byteOffset: 0)
      }
      configuration = json
      files.append(path)
    }
    let places = configuration.map { CompanionFiles.quantizationPlaces(in: $0) } ?? []
    var quantization = places.first
    var findings: [Finding] = []
    let isStated = quantization != nil
    if let configuration, let own = quantization, CompanionFiles.quantizationKeys(in: configuration).first == "quantization",
      let other = places.dropFirst().first(where: { $0 != own })
    {
      findings.append(
        Finding(
          .error, "quantization.contradiction",
          "config.json says '\(own.text())' under 'quantization' and '\(other.text())' for other programs: they differ in which they read"))
    }
    for name in CompanionFiles.quantizationFiles {
      let path = Files.join(folder, name)
      guard Files.exists(path) else { continue }
      if let stated = quantization {
        // A copy for other programs: it is not needed here, and may be anything.
        if let copy = try? JSON.load(path) { findings += CompanionFiles.contradictions(stated, copy, in: name) }
        continue
      }
      quantization = try JSON.load(path)
      files.append(path)
      if configuration != nil {
        findings.append(
          Finding(
            .warning, "quantization.beside",
            "\(name) says how weights are quantized, and config.json does not: programs that read config.json alone misread them"))
      }
    }
    self.configuration = configuration.map { CompanionFiles.configuration($0) }
    self.quantization = quantization
    isBeside = quantization != nil && !isStated
    self.findings = findings
    self.files = files
    if let tokenizer = options.tokenizerPath {
      guard Files.exists(tokenizer) else {
        throw Failure(.noInput, "input.missing", "does not exist", file: tokenizer, remedy: "Check the path of the tokenizer.")
      }
      companionFolder = Files.isFolder(tokenizer) ? tokenizer : Files.folder(of: tokenizer)
    } else {
      let known = CompanionFiles.tokenizerFiles + ["config.json"]
      companionFolder = known.contains { Files.exists(Files.join(folder, $0)) } ? folder : nil
    }
  }

  /// The keys of a `config.json` that say how weights are quantized, in the order in which they are read. `quantization` is mlx-lm's, which
  /// reads it before others; without a number of bits it means something else.
  public static func quantizationKeys(in configuration: JSON) -> [String] {
    ["quantization", "quantization_config", "compression_config"].filter { key in
      configuration[key].map { key != "quantization" || $0["bits"] != nil } ?? false
    }
  }

  /// A `config.json`. The first of its architectures is the class that computes the model.
  public static func configuration(_ json: JSON) -> Configuration {
    Configuration(json, architecture: json["architectures"]?.arrayValue?.first?.stringValue)
  }

  /// What a configuration says about how weights are quantized: at its top, then in the object of the language model.
  private static func quantizationPlaces(in configuration: JSON) -> [JSON] {
    let places = [configuration] + languageModels.compactMap { configuration[$0] }
    return places.flatMap { place in quantizationKeys(in: place).compactMap { place[$0] } }.filter { !$0.isNull }
  }

  /// Keys of the object of the language model in a configuration with more parts.
  public static let languageModels = ["text_config", "llm_config", "language_config"]

  /// Keys of what programs compute with.
  private static let decisiveKeys = ["bits", "w_bit", "group_size", "q_group_size", "sym", "zero_point", "checkpoint_format", "quant_algo"]

  /// Where two descriptions of the same weights differ.
  private static func contradictions(_ stated: JSON, _ copy: JSON, in name: String) -> [Finding] {
    decisiveKeys.compactMap { key in
      // ModelOpt's file has its keys one level deeper.
      guard let own = stated[key] ?? stated["quantization"]?[key], let other = copy[key] ?? copy["quantization"]?[key], own != other else {
        return nil
      }
      return Finding(
        .error, "quantization.contradiction",
        "config.json says '\(key)' is \(own.text()), and \(name) says \(other.text()): programs differ in which they read")
    }
  }

  /// The tensors as a model knows them, and how activations are rounded: those of a quantized folder go through the unpacker
  /// that understands it. Where nothing says that weights are quantized, unpackers are asked whether the names of tensors do.
  /// - Throws: `Failure` `hf.quantization.unsupported` where no unpacker does, or what the unpacker throws.
  public func logicalTensors(_ weights: [WeightFile], unpackers: [any Unpacker]) throws -> LogicalTensors {
    do {
      return try unpacked(weights, unpackers)
    } catch let failure as Failure {
      throw weights.first.map { failure.inFile(files.last ?? $0.file.path) } ?? failure
    }
  }

  private func unpacked(_ weights: [WeightFile], _ unpackers: [any Unpacker]) throws -> LogicalTensors {
    let (unwrapped, wrapper) = TrainingNames.unwrapped(weights.flatMap { $0.tensors })
    let stored = quantization == nil ? unwrapped : CacheScaleNames.current(unwrapped)
    let warnings = wrapper.map { ["Names of tensors contain '\($0)', which a program for training added: they are read without it."] } ?? []
    var metadata = KeyValues()
    for file in weights { for (key, value) in file.metadata.entries { metadata[key] = value } }
    let configuration = quantization ?? .null
    // Clients that read the configuration alone see plain weights, which these are.
    if isBeside, stored.allSatisfy({ $0.storage.elementType?.isFloat == true && $0.storage.elementType?.needsScale == false }) {
      let note = "A file beside config.json describes quantized weights, but none are: it is left from another version of the model."
      return LogicalTensors(tensors: stored, warnings: warnings + [note], isPlain: true)
    }
    for unpacker in unpackers {
      guard let tensors = try unpacker.unpack(configuration: configuration, stored: stored, metadata: metadata) else { continue }
      return LogicalTensors(
        tensors: tensors, activations: try unpacker.activations(configuration: configuration, stored: stored),
        packing: type(of: unpacker).id, findings: unpacker.findings(configuration: configuration, stored: stored), warnings: warnings)
    }
    guard let quantization else {
      let findings = TrainingNames.findings(stored) + UndescribedCodes.findings(stored, unpackers: unpackers)
      return LogicalTensors(tensors: stored, findings: findings, warnings: warnings)
    }
    throw Failure(
      .unsupported, "hf.quantization.unsupported",
      "its weights are already quantized with "
        + "\(CompanionFiles.method(of: quantization).map { "'\($0)'" } ?? "an unnamed method"), which is not understood",
      file: files.last, remedy: "Give the unquantized model.")
  }

  /// A folder's tensors as a model knows them, and what its unpacker knows besides.
  public struct LogicalTensors: Sendable {
    /// In file order, each under the name of its weight.
    public var tensors: [CheckpointTensor]
    var activations = ActivationRecord()
    var packing: String?
    var findings: [Finding] = []
    var warnings: [String] = []
    /// Whether what is said about quantization does not apply.
    var isPlain = false
  }

  /// What the tool calls its method and layout.
  static func method(of quantization: JSON) -> String? {
    let method = quantization["quant_method"] ?? quantization["quantization"]?["quant_algo"] ?? quantization["quant_algo"]
    let format = quantization["format"] ?? quantization["checkpoint_format"] ?? quantization["bnb_4bit_quant_type"]
    return method?.stringValue.map { method in method + (format?.stringValue.map { " (\($0))" } ?? "") }
  }
}

extension Checkpoint {
  /// What an unpacker knows besides the tensors.
  public mutating func take(_ logical: CompanionFiles.LogicalTensors, _ companions: CompanionFiles) {
    activations = logical.activations
    packing = logical.packing
    findings = (logical.isPlain ? [] : companions.findings) + logical.findings
    warnings += logical.warnings
    quantizationConfiguration = logical.isPlain ? nil : companions.quantization
    quantization = quantizationConfiguration.flatMap { CompanionFiles.method(of: $0) }
  }
}
