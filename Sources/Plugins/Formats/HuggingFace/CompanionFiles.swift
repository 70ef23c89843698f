import QuantCore

/// The configuration of a model and the folder that holds its tokenizer.
struct CompanionFiles {
  /// `config.json`, or nil where there is none.
  let configuration: JSON?
  /// How the weights are quantized according to the configuration or to a file of its own, or nil.
  let quantization: JSON?
  /// Where tokenizer and generation files lie, or nil where there are none.
  let companionFolder: String?
  /// Files that were read.
  let files: [String]

  /// Older tools write the quantization beside the configuration.
  private static let quantizationFiles = ["hf_quant_config.json", "quantize_config.json", "quant_config.json"]
  private static let tokenizerFiles = ["tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json"]

  /// - Throws: `Failure` `input.…` or `json.…` for files that are there but unreadable.
  init(folder: String, options: OpenOptions) throws(Failure) {
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
    var quantization = configuration?["quantization_config"] ?? configuration?["compression_config"]
    if quantization?.isNull == true { quantization = nil }
    for name in CompanionFiles.quantizationFiles where quantization == nil {
      let path = Files.join(folder, name)
      guard Files.exists(path) else { continue }
      quantization = try JSON.load(path)
      files.append(path)
    }
    self.configuration = configuration
    self.quantization = quantization
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

  /// The tensors as a model knows them, and how activations are rounded: those of a quantized folder go through the packing
  /// that understands it.
  /// - Throws: `Failure` `hf.quantization.unsupported` where no packing does, or what the packing throws.
  func logicalTensors(
    _ stored: [CheckpointTensor], packings: [any Packing]
  ) throws -> LogicalTensors {
    guard let quantization else { return LogicalTensors(tensors: stored) }
    for packing in packings {
      guard let tensors = try packing.unpack(configuration: quantization, stored: stored) else { continue }
      return LogicalTensors(
        tensors: tensors, activations: try packing.activations(configuration: quantization, stored: stored),
        packing: type(of: packing).id, findings: packing.findings(configuration: quantization, stored: stored))
    }
    throw Failure(
      .unsupported, "hf.quantization.unsupported",
      "its weights are already quantized with \(CompanionFiles.method(of: quantization).map { "'\($0)'" } ?? "an unnamed method"), which is not understood",
      file: files.last, remedy: "Give the unquantized model.")
  }

  /// A folder's tensors as a model knows them, and what its packing knows besides.
  struct LogicalTensors {
    var tensors: [CheckpointTensor]
    var activations = ActivationRecord()
    var packing: String?
    var findings: [Finding] = []
  }

  /// What the tool calls its method and layout.
  static func method(of quantization: JSON) -> String? {
    let method = quantization["quant_method"] ?? quantization["quantization"]?["quant_algo"] ?? quantization["quant_algo"]
    let format = quantization["format"] ?? quantization["checkpoint_format"] ?? quantization["bnb_4bit_quant_type"]
    return method?.stringValue.map { method in method + (format?.stringValue.map { " (\($0))" } ?? "") }
  }
}

extension Checkpoint {
  /// What a packing knows besides the tensors.
  mutating func take(_ logical: CompanionFiles.LogicalTensors, _ companions: CompanionFiles) {
    activations = logical.activations
    packing = logical.packing
    findings = logical.findings
    quantization = companions.quantization.flatMap { CompanionFiles.method(of: $0) }
  }
}
