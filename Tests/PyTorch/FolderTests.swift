import HuggingFace
import PyTorch
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Folders whose weights are PyTorch files.
@Suite struct FolderTests {
  private let options = OpenOptions(weightFormats: [SafetensorsFormat.self, PyTorchFormat.self])

  private func folder(_ files: [String: String], index: String? = nil) -> TemporaryFolder {
    let folder = TemporaryFolder()
    writeFile(folder.file("config.json"), Array("{}".utf8))
    for (name, fixture) in files { writeFile(folder.file(name), readFile(SharedData.fixture("pytorch/good/\(fixture).bin"))) }
    if let index { writeFile(folder.file("pytorch_model.bin.index.json"), Array(index.utf8)) }
    return folder
  }

  private func open(_ folder: TemporaryFolder) throws -> Checkpoint { try HuggingFaceFormat.open(folder.path, options: options) }

  private func id(_ folder: TemporaryFolder) -> String? {
    do {
      _ = try open(folder)
      return nil
    } catch {
      return (error as? Failure)?.id
    }
  }

  private let first = "pytorch_model-00001-of-00002.bin", second = "pytorch_model-00002-of-00002.bin"
  private func index(_ map: [String: String]) -> String {
    #"{"weight_map":{"# + map.sorted { $0.key < $1.key }.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",") + "}}"
  }

  @Test func aFolderWithOneFileOpens() throws {
    let checkpoint = try open(folder(["pytorch_model.bin": "tied", "training_args.bin": "model", "optimizer.pt": "model"]))
    #expect(checkpoint.format == "huggingface" && checkpoint.tensors.map(\.name) == ["a", "b"])
    #expect(try open(folder(["consolidated.00.pth": "tied"])).tensors.count == 2)
  }

  @Test func shardsAndIndexAreCompared() throws {
    let files = [first: "tied", second: "parameters"]
    let good = ["a": first, "b": first, "p": second]
    let checkpoint = try open(folder(files, index: index(good)))
    #expect(checkpoint.tensors.map(\.name) == ["a", "b", "p"])
    #expect(id(folder(files, index: index(["a": first, "p": second]))) == "hf.index.incomplete")
    #expect(id(folder(files, index: index(good.merging(["c": second]) { $1 }))) == "hf.tensor.missing")
    #expect(id(folder(files, index: index(["a": second, "b": first, "p": second]))) == "hf.index.wrong-shard")
    #expect(id(folder([first: "tied"], index: index(good))) == "hf.shard.missing")
    #expect(id(folder([first: "tied"])) == "hf.shard.missing")
    #expect(id(folder([first: "tied", second: "tied"])) == "hf.tensor.duplicate")
    #expect(id(folder(files, index: index(good.merging(["a": "../x.bin"]) { $1 }))) == "hf.index.path")
  }

  @Test func safetensorsAreReadFirst() throws {
    let folder = folder(["pytorch_model.bin": "tied"])
    writeFile(folder.file("model.safetensors"), readFile(SharedData.fixture("pytorch/expected.safetensors")))
    #expect(try open(folder)["tied/a"] != nil)
  }

  @Test func foldersWithoutReadableWeightsAreRefused() {
    #expect(id(folder([:])) == "hf.no-weights")
    let pickles = folder(["pytorch_model.bin": "tied"])
    let failure = #expect(throws: Failure.self) { try HuggingFaceFormat.open(pickles.path, options: OpenOptions()) }
    #expect(failure?.id == "hf.no-weights")
  }
}
