import FolderKit
import HuggingFace
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Lone files, companion files, and folders that are already quantized.
@Suite struct ReaderCompanionTests {
  /// Understands only the method `double`, and gives every tensor a new name.
  private struct Doubling: Unpacker {
    static let id = "double"
    static let summary = "For tests."
    static let reference = "None."
    func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? {
      guard configuration["quant_method"]?.stringValue == "double" else { return nil }
      return stored.map { CheckpointTensor(name: $0.name + ".unpacked", shape: $0.shape, storage: $0.storage) }
    }
  }

  private func folder(config: String?) -> TemporaryFolder {
    let folder = TemporaryFolder()
    writeFile(folder.file("model.safetensors"), safetensors([("a", [1, 2])]))
    if let config { writeText(folder.file("config.json"), config) }
    return folder
  }

  @Test func aLoneFileNeedsNothingBesideIt() throws {
    let folder = folder(config: nil)
    let checkpoint = try SafetensorsFormat.open(folder.file("model.safetensors"), options: OpenOptions())
    #expect(checkpoint.format == "safetensors")
    #expect(checkpoint.configuration == nil)
    #expect(checkpoint.companionFolder == nil)
    #expect(checkpoint.files == [folder.file("model.safetensors")])
  }

  @Test func aLoneFileUsesTheConfigurationBesideIt() throws {
    let folder = folder(config: #"{"architectures": ["X"]}"#)
    let checkpoint = try SafetensorsFormat.open(folder.file("model.safetensors"), options: OpenOptions())
    #expect(checkpoint.configuration?.architecture == "X")
    #expect(checkpoint.companionFolder == folder.path)
  }

  @Test func givenPathsReplaceTheCompanions() throws {
    let folder = folder(config: #"{"architectures": ["X"]}"#), other = TemporaryFolder()
    writeText(other.file("c.json"), #"{"architectures": ["Y"]}"#)
    writeText(other.file("tokenizer.json"), "{}")
    let options = OpenOptions(configPath: other.file("c.json"), tokenizerPath: other.file("tokenizer.json"))
    let checkpoint = try HuggingFaceFormat.open(folder.path, options: options)
    #expect(checkpoint.configuration?.architecture == "Y")
    #expect(checkpoint.companionFolder == other.path)
    let missing = OpenOptions(configPath: other.file("none.json"))
    #expect(failure { _ = try HuggingFaceFormat.open(folder.path, options: missing) }?.id == "input.missing")
  }

  @Test func oneOfSeveralShardsOpensWithAWarning() throws {
    let folder = TemporaryFolder()
    let path = folder.file("model-00002-of-00003.safetensors")
    writeFile(path, safetensors([("a", [1])]))
    let checkpoint = try SafetensorsFormat.open(path, options: OpenOptions())
    #expect(checkpoint.warnings.contains { $0.contains("3 shards") })
  }

  @Test func quantizedFoldersGoThroughThePackingThatKnowsThem() throws {
    let folder = folder(config: #"{"quantization_config": {"quant_method": "double"}}"#)
    let checkpoint = try HuggingFaceFormat.open(folder.path, options: OpenOptions(unpackers: [Doubling()]))
    #expect(checkpoint.tensors.map(\.name) == ["a.unpacked"])
  }

  @Test func unknownQuantizationIsRefusedByItsName() {
    let configs = [
      #"{"quantization_config": {"quant_method": "gptq", "bits": 4}}"#,
      #"{"compression_config": {"quant_method": "gptq", "format": "pack-quantized"}}"#,
    ]
    for config in configs {
      let folder = folder(config: config)
      let failure = failure { _ = try HuggingFaceFormat.open(folder.path, options: OpenOptions(unpackers: [Doubling()])) }
      #expect(failure?.id == "hf.quantization.unsupported")
      #expect(failure?.kind == .unsupported)
      #expect(failure?.message.contains("'gptq") == true)
    }
    let older = folder(config: "{}")
    writeText(older.file("hf_quant_config.json"), #"{"quantization": {"quant_algo": "NVFP4"}}"#)
    writeFile(older.file("model.safetensors"), safetensors([("a", [1, 2])]).replacing(Array("F32".utf8), with: Array("I32".utf8)))
    let failure = failure { _ = try HuggingFaceFormat.open(older.path, options: OpenOptions()) }
    #expect(failure?.message.contains("'NVFP4'") == true)
  }

  @Test func aDescriptionBesideFloatsIsLeftover() throws {
    let folder = folder(config: "{}")
    writeText(folder.file("hf_quant_config.json"), #"{"quantization": {"quant_algo": "NVFP4"}}"#)
    let checkpoint = try HuggingFaceFormat.open(folder.path, options: OpenOptions())
    #expect(checkpoint.tensors.count == 1)
    #expect(checkpoint.warnings.contains { $0.contains("left from another version of the model") })
  }

  @Test func aNullQuantizationMeansNone() throws {
    let folder = folder(config: #"{"quantization_config": null}"#)
    #expect(try HuggingFaceFormat.open(folder.path, options: OpenOptions()).tensors.count == 1)
  }

  @Test func everyQuantizedFolderOfOtherToolsIsReadOrRefusedByName() throws {
    let golden = SharedData.fixture("golden")
    let names = try Files.list(golden).filter { Files.exists(Files.join(golden, "\($0)/config.json")) }
    #expect(names.count == 32)
    for name in names {
      let folder = Files.join(golden, name)
      let failure = failure { _ = try HuggingFaceFormat.open(folder, options: OpenOptions()) }
      #expect(failure == nil || failure?.id == "hf.quantization.unsupported", "\(name): \(String(describing: failure))")
      // The format recognises the folder in any case.
      #expect(HuggingFaceFormat.recognises(folder))
    }
  }

  @Test func pipesFoldersAndDevicesAreNotFiles() {
    let folder = folder(config: nil)
    mkfifo(folder.file("x.safetensors"), 0o600)
    #expect(!SafetensorsFormat.recognises(folder.file("x.safetensors")))
    #expect(!SafetensorsFormat.recognises(folder.path))
    #expect(!HuggingFaceFormat.recognises(folder.file("model.safetensors")))
    #expect(!SafetensorsFormat.recognises("/dev/zero"))
    #expect(failure { _ = try SafetensorsFormat.open("/dev/zero", options: OpenOptions()) }?.id == "input.not-a-file")
  }
}
