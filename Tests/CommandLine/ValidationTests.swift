import QConvertKit
import QuantCore
import TestSupport
import Testing

/// What `validate` finds in checkpoints that can be opened.
@Suite struct ValidationTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func made(_ scheme: String, _ output: String) throws -> String {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.scheme = scheme
    request.threads = 2
    try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return folder.file(output)
  }

  private func findings(_ path: String) throws -> [Finding] {
    let opening = Opening(registry)
    return Validation(try opening.open(path), opening: opening, threads: 2).findings
  }

  /// Overwrites the first bytes of a stored tensor.
  private func overwrite(_ bytes: [UInt8], in path: String, tensor: String) throws {
    let file = path + "/model.safetensors"
    var content = try Files.read(file, maximumBytes: 1 << 28)
    let length = content.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSON.parse(ByteView(Array(content[8..<8 + length])), .strict)
    let offset = try #require(header[tensor]?["data_offsets"]?.arrayValue?.first?.intValue)
    content.replaceSubrange(8 + length + offset..<8 + length + offset + bytes.count, with: bytes)
    writeFile(file, content)
  }

  @Test(arguments: ["int4-g32", "fp8-channel", "bf16"])
  func soundFoldersHaveNoFindings(scheme: String) throws {
    #expect(try findings(made(scheme, "sound")).isEmpty)
  }

  @Test func soundFilesHaveNoFindings() throws {
    #expect(try findings(made("q4_k_m", "sound.gguf")).isEmpty)
  }

  @Test(arguments: [[0, 0], [0xc0, 0x7f], [0x80, 0x7f]] as [[UInt8]])
  func scalesThatAreNoScalesAreNamed(bytes: [UInt8]) throws {
    let path = try made("int4-g32", "broken")
    let name = "model.layers.3.mlp.up_proj.weight"
    try overwrite(bytes, in: path, tensor: name + "_scale")
    let found = try findings(path)
    #expect(found.contains { $0.id == "scale.not-a-number" && $0.tensor == name && $0.severity == .error })
  }

  @Test func numbersThatAreNoneAreNamed() throws {
    let path = try made("bf16", "broken")
    try overwrite([0xc0, 0x7f], in: path, tensor: "model.norm.weight")
    #expect(try findings(path).map(\.id) == ["data.nonfinite"])
  }
}
