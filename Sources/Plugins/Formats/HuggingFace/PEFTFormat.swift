public import QuantCore

/// LoRA adapters as the PEFT library saves them: a folder with `adapter_config.json` and one file of low-rank matrices.
///
/// The trap: the configuration says more than the matrices do. The scale is `lora_alpha / r`, or `lora_alpha / √r` with
/// `use_rslora`, with exceptions by name; and several switches mean that weights change by more than a sum.
///
/// Specification: https://huggingface.co/docs/peft/developer_guides/checkpoint
public struct PEFTFormat: Sendable {
  public static let id = "peft"
  public static let summary = "A LoRA adapter: adapter_config.json and adapter_model.safetensors (or .bin)."
  public static let reference = "https://huggingface.co/docs/peft/developer_guides/checkpoint"
  public static let fileExtensions: [String] = []
  public static let isFolder = true

  static let configurationName = "adapter_config.json"
  static let weightsName = "adapter_model"
  /// The prefix that the library adds to the model's own names.
  static let prefix = "base_model.model."

  /// Whether the path is a folder with an adapter but without a model.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFolder(path), let names = try? Files.list(path), names.contains(configurationName) else { return false }
    return !names.contains { $0 == SafetensorsFormat.indexName || $0 == SafetensorsFormat.singleName || $0.hasPrefix("pytorch_model") }
  }

  /// Opens the folder. Reads the configuration and the header of the weights.
  /// - Throws: `Failure` `adapter.…`, `json.…`, and what the format of its weight file throws.
  public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    let configurationPath = Files.join(path, configurationName)
    let json = try JSON.load(configurationPath)
    let configuration: PEFTConfiguration
    do {
      configuration = try PEFTConfiguration(json)
    } catch {
      throw error.inFile(configurationPath)
    }
    let weights = try weights(in: path, options.weightFormats)
    let adapter: LowRankAdapter
    do {
      adapter = try configuration.adapter(weights.tensors)
    } catch {
      throw error.inFile(weights.file.path)
    }
    var checkpoint = Checkpoint(
      path: path, format: id, tensors: weights.tensors, naming: naming, configuration: Configuration(json, architecture: nil),
      metadata: ModelCard.keyValues(folder: path), files: [configurationPath, weights.file.path], mappings: [weights.file])
    checkpoint.adapter = adapter
    return checkpoint
  }

  private static func weights(in folder: String, _ others: [any WeightFormat.Type]) throws(Failure) -> WeightFile {
    for format in [SafetensorsFormat.self] + others {
      for ending in format.fileExtensions {
        let path = Files.join(folder, weightsName + "." + ending)
        if Files.isFile(path) { return try format.weights(path) }
      }
    }
    throw Failure(
      .noInput, "adapter.no-weights", "holds no \(weightsName).safetensors", file: folder, remedy: "Fetch the adapter again.")
  }
}
