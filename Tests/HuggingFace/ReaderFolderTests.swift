import HuggingFace
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Folders whose parts disagree.
@Suite struct ReaderFolderTests {
  private let first = "model-00001-of-00002.safetensors", second = "model-00002-of-00002.safetensors"

  /// A folder with two shards, `a` and `b` in the first, `c` in the second.
  private func folder(index: String?) -> TemporaryFolder {
    let folder = TemporaryFolder()
    writeText(folder.file("config.json"), #"{"architectures": ["LlamaForCausalLM"], "eps": 1e-05}"#)
    writeFile(folder.file(first), safetensors([("a", [1, 2]), ("b", [3])], metadata: #"{"format":"pt"}"#))
    writeFile(folder.file(second), safetensors([("c", [4])]))
    if let index { writeText(folder.file("model.safetensors.index.json"), index) }
    return folder
  }

  private func index(_ map: String, total: Int = 16) -> String {
    #"{"metadata": {"total_size": \#(total)}, "weight_map": {\#(map)}}"#
  }

  private var goodMap: String { #""a": "\#(first)", "b": "\#(first)", "c": "\#(second)""# }

  private func open(_ folder: TemporaryFolder) throws -> Checkpoint {
    try HuggingFaceFormat.open(folder.path, options: OpenOptions())
  }

  private func id(_ folder: TemporaryFolder) -> String? { failure { _ = try open(folder) }?.id }

  @Test func opensShardsWithTheirIndex() throws {
    let folder = folder(index: index(goodMap))
    #expect(HuggingFaceFormat.recognises(folder.path))
    let checkpoint = try open(folder)
    #expect(checkpoint.tensors.map(\.name) == ["a", "b", "c"])
    #expect(checkpoint["c"]?.matrix().values == [4])
    #expect(checkpoint.configuration?.architecture == "LlamaForCausalLM")
    #expect(checkpoint.metadata["format"] == .string("pt"))
    #expect(checkpoint.warnings.isEmpty)
    #expect(checkpoint.companionFolder == folder.path)
    #expect(checkpoint.files.count == 4)
    #expect(checkpoint.mappings.allSatisfy { !$0.hasChanged() })
    writeFile(folder.file(second), [])
    #expect(checkpoint.mappings.contains { $0.hasChanged() })
  }

  @Test func opensCompleteShardsWithoutAnIndexAndSaysSo() throws {
    let checkpoint = try open(folder(index: nil))
    #expect(checkpoint.tensors.count == 3)
    #expect(checkpoint.warnings.contains { $0.contains("index") })
  }

  @Test func aShardThatTheIndexNamesMustBeThere() {
    let folder = folder(index: index(goodMap))
    unlink(folder.file(second))
    let failure = failure { _ = try open(folder) }
    #expect(failure?.id == "hf.shard.missing")
    #expect(failure?.kind == .noInput)
    #expect(failure?.file == folder.file(second))
  }

  @Test func aMissingShardIsNoticedWithoutAnIndex() {
    let folder = folder(index: nil)
    unlink(folder.file(first))
    #expect(id(folder) == "hf.shard.missing")
  }

  @Test func indexAndShardsMustAgreeOnEveryTensor() {
    #expect(id(folder(index: index(#""a": "\#(first)", "b": "\#(second)", "c": "\#(second)""#))) == "hf.index.wrong-shard")
    #expect(id(folder(index: index(#""a": "\#(first)", "c": "\#(second)""#))) == "hf.index.incomplete")
    #expect(id(folder(index: index(goodMap + #", "d": "\#(second)""#))) == "hf.tensor.missing")
    let twice = folder(index: index(goodMap))
    writeFile(twice.file(second), safetensors([("c", [4]), ("a", [1, 2])]))
    let failure = failure { _ = try open(twice) }
    #expect(failure?.id == "hf.tensor.duplicate")
    #expect(failure?.tensor == "a")
  }

  @Test(arguments: ["../x.safetensors", "/etc/passwd", "sub/x.safetensors", "..", ""])
  func theIndexNeverLeadsOutOfTheFolder(path: String) {
    #expect(id(folder(index: index(#""a": "\#(path)""#))) == "hf.index.path")
  }

  @Test func anIndexWithDuplicateKeysIsRefused() {
    #expect(id(folder(index: index(goodMap + #", "a": "\#(second)""#))) == "hf.index.duplicate")
  }

  @Test func anIndexWithoutAMapIsRefused() {
    #expect(id(folder(index: "{}")) == "hf.index.weight-map")
    #expect(id(folder(index: #"{"weight_map": {"a": 1}}"#)) == "hf.index.weight-map")
    #expect(id(folder(index: "{")) == "json.truncated")
  }

  @Test func anIndexOfHundredsOfMegabytesIsRefusedUnread() {
    let folder = folder(index: index(goodMap))
    #expect(truncate(folder.file("model.safetensors.index.json"), 500_000_000) == 0)
    #expect(id(folder) == "limit.file-size")
  }

  @Test func aWrongTotalSizeIsOnlyAWarning() throws {
    let checkpoint = try open(folder(index: index(goodMap, total: 17)))
    #expect(checkpoint.warnings.contains { $0.contains("17") && $0.contains("16") })
  }

  @Test func filesThatDoNotBelongTogetherAreRefused() {
    let folder = folder(index: nil)
    writeFile(folder.file("other.safetensors"), safetensors([("z", [1])]))
    #expect(id(folder) == "hf.index.missing")
  }

  @Test func foldersWithoutUsableWeightsSayWhatIsWrong() {
    let empty = TemporaryFolder()
    writeText(empty.file("config.json"), "{}")
    #expect(id(empty) == "hf.no-weights")
    #expect(failure { _ = try HuggingFaceFormat.open(empty.file("config.json"), options: OpenOptions()) }?.id == "input.not-a-folder")
  }

  @Test func anErrorInAShardNamesTheShard() {
    let folder = folder(index: index(goodMap))
    writeText(folder.file(second), "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    let failure = failure { _ = try open(folder) }
    #expect(failure?.id == "input.lfs-pointer")
    #expect(failure?.file == folder.file(second))
  }

  @Test func aBrokenConfigurationIsRefusedWithItsPlace() {
    let folder = folder(index: index(goodMap))
    writeText(folder.file("config.json"), "{\n  \"a\": 1,\n}")
    let failure = failure { _ = try open(folder) }
    #expect(failure?.id == "json.syntax")
    #expect(failure?.file == folder.file("config.json"))
    #expect(failure?.message.contains("line 3") == true)
    writeText(folder.file("config.json"), "[]")
    #expect(id(folder) == "hf.config.not-object")
  }
}
