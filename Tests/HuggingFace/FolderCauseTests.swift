import HuggingFace
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Folders that are named by what is wrong with them as a whole.
@Suite struct FolderCauseTests {
  private let folder = TemporaryFolder()

  private func write(_ name: String, _ tensors: [(name: String, values: [Float])]) { writeFile(folder.file(name), safetensors(tensors)) }

  private func open() throws -> Checkpoint { try HuggingFaceFormat.open(folder.path, options: OpenOptions()) }

  private var id: String? { failure { _ = try open() }?.id }

  @Test(arguments: [
    (["module.a", "module.b"], ["a", "b"]), (["a", "b._orig_mod.c"], ["a", "b.c"]),
    (["module._orig_mod.a"], ["a"]), (["base_model.model.a"], ["a"]), (["module.a", "b"], ["module.a", "b"]),
    // Names that would meet stay apart.
    (["a", "_orig_mod.a"], ["a", "_orig_mod.a"]),
  ])
  func namesThatTrainingAdds(_ stored: [String], _ read: [String]) throws {
    writeText(folder.file("config.json"), "{}")
    write("model.safetensors", stored.map { ($0, [1]) })
    let checkpoint = try open()
    #expect(checkpoint.tensors.map(\.name) == read)
    #expect(checkpoint.warnings.isEmpty == (stored == read))
  }

  @Test func anAdapterThatIsNotMergedLeavesWeightsOpen() throws {
    writeText(folder.file("config.json"), "{}")
    write("model.safetensors", [("a.base_layer.weight", [1]), ("a.lora_A.default.weight", [1])])
    let checkpoint = try open()
    #expect(checkpoint.findings.map(\.id) == ["adapter.unmerged"])
    #expect(failure { try checkpoint.checkWeightsAreKnown() }?.id == "adapter.unmerged")
  }

  @Test func aSingleFileBesideAnIndex() throws {
    writeText(folder.file("config.json"), "{}")
    writeText(folder.file("model.safetensors.index.json"), #"{"weight_map": {"a": "model-00001-of-00001.safetensors"}}"#)
    write("model.safetensors", [("a", [1])])
    #expect(try open().warnings.count == 1)
    write("model-00001-of-00001.safetensors", [("a", [2])])
    #expect(id == "hf.two-models")
  }

  @Test func otherKindsOfFolders() {
    writeText(folder.file("params.json"), "{}")
    write("consolidated.safetensors", [("a", [1])])
    #expect(HuggingFaceFormat.recognises(folder.path) && id == "hf.native")
    mkdir(folder.file("snapshots"), 0o777)
    mkdir(folder.file("refs"), 0o777)
    unlink(folder.file("params.json"))
    #expect(id == "hf.cache")
  }

  @Test func aLinkWithoutItsFile() {
    writeText(folder.file("config.json"), "{}")
    write("model.safetensors", [("a", [1])])
    symlink("gone", folder.file("generation_config.json"))
    #expect(failure { _ = try open() }?.file == folder.file("generation_config.json"))
    #expect(id == "input.dangling-link")
  }

  /// Weights of other programs, and downloads that were stopped, are named; the way on is that of their programs.
  @Test(arguments: [
    ("tf_model.h5", "from_tf"), ("flax_model.msgpack", "from_flax"), ("model.onnx", "exported"),
    ("model.safetensors.incomplete", "Download"),
    ("model.safetensors.part", "Download"), ("__0_0.distcp", "merge-weights"), ("global_step100", "zero_to_fp32"),
    ("checkpoint-500", "one of these folders"), ("model-q4_k_m.gguf", "one of these files"),
  ])
  func weightsOfOtherPrograms(_ name: String, _ remedy: String) {
    writeText(folder.file("config.json"), "{}")
    writeText(folder.file(name), "")
    let found = failure { _ = try open() }
    let said = found?.remedy?.spelled(setting: { $0 }, command: { $0 })
    #expect(found?.id == "hf.no-weights" && said?.contains(remedy) == true, "\(said ?? "nothing")")
  }

  @Test(arguments: ["model_index.json", "checkpoint-500"]) func foldersOfSeveralModels(_ name: String) {
    writeText(folder.file(name), "{}")
    #expect(HuggingFaceFormat.recognises(folder.path) && id == "hf.foreign")
    writeText(folder.file("config.json"), "{}")
    write("model.safetensors", [("a", [1])])
    #expect(id == nil)
  }

  @Test func whatAModelCardDoesNotSay() throws {
    writeText(folder.file("config.json"), "{}")
    write("model.safetensors", [("a", [1])])
    writeText(folder.file("README.md"), "---\nlicense:\ntags: [x, ~, null, 'null']\nlanguage: de\nlanguage: en\n---\n")
    let metadata = try open().metadata
    #expect(metadata["card.license"] == nil)
    #expect(metadata["card.tags"] == .strings(["x", "null"]))
    #expect(metadata["card.language"] == .string("en"))
  }
}
