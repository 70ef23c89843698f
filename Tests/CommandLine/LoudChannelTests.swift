import QuantCore
import TestSupport
import Testing

@testable import QConvertKit

/// The warning about plain rounding where some channels are far louder than others.
@Suite struct LoudChannelTests {
  private let folder = TemporaryFolder()

  private func warnings(_ arguments: String) throws -> [String] {
    let capture = Capture()
    let code = QConvert.run(
      ["plan"] + arguments.split(separator: " ").map { folder.expanded(String($0)) } + ["--json", "--progress", "none"],
      plugins: QConvert.builtIn, console: capture.console())
    #expect(code == 0, "\(capture.error)")
    let document = try JSON.parse(ByteView(Array(capture.output.utf8)))
    return (document["warnings"]?.arrayValue ?? []).compactMap { $0.stringValue }.filter { $0.contains("as loud as") }
  }

  @Test func plainRoundingWarnsAndNamesWhatHelps() throws {
    let path = try RandomModel.copy("llama-biases", into: folder)
    #expect(try warnings("llama-biases out.gguf --scheme q4_0").isEmpty)
    var edited = try EditedFolder(path)
    let norm = try #require(edited.tensors.firstIndex { $0.name == "model.layers.0.input_layernorm.weight" })
    // 128 in BF16.
    edited.tensors[norm].bytes.replaceSubrange(0..<2, with: [0x00, 0x43])
    edited.save()
    let found = try warnings("llama-biases out.gguf --scheme q4_0")
    #expect(found.count == 1 && found[0].hasPrefix("channels in 1 of ") && found[0].contains("--quality good"), "\(found)")
    #expect(try warnings("llama-biases out --scheme w8a8").count == 1)
    #expect(try warnings("llama-biases out.gguf --scheme q8_0").isEmpty)
    #expect(try warnings("llama-biases out.gguf --scheme q4_0 --quality good").isEmpty)
  }

  @Test(
    arguments: [([1, 1, 31.9], false), ([1, 1, -32.1], true), ([0, 0, 1], true), ([], false), ([1, .nan, 1], false)] as [([Float], Bool)])
  func gainsAreLoudBesideTheUsualOne(_ gains: [Float], _ areLoud: Bool) { #expect(LoudChannels.areLoud(gains) == areLoud) }
}

extension TemporaryFolder {
  /// The path of a word that names something in the folder; other words stay.
  fileprivate func expanded(_ word: String) -> String { ["llama-biases", "out", "out.gguf"].contains(word) ? file(word) : word }
}
