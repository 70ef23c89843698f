import FolderKit
import HuggingFace
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// A real model, and values of every type as the reference implementation reads them.
@Suite struct ReaderOracleTests {
  @Test func readsATrainedModelWithAllItsParts() throws {
    let path = SharedData.fixture("models/tiny-llama")
    let checkpoint = try HuggingFaceFormat.open(path, options: OpenOptions())
    #expect(checkpoint.configuration?.architecture == "LlamaForCausalLM")
    #expect(checkpoint.warnings.isEmpty)
    let bytes = checkpoint.tensors.reduce(0) { $0 + $1.storage.byteCount }
    // Four files, each with a header before the tensors.
    let files = try Files.list(path).filter { $0.hasSuffix(".safetensors") }
    #expect(files.count == 4 && bytes < files.reduce(0) { $0 + readFile(Files.join(path, $1)).count })
    for tensor in checkpoint.tensors {
      let values = tensor.matrix().values
      #expect(values.allSatisfy { $0.isFinite } && values.contains { $0 != 0 }, "\(tensor.name)")
    }
  }

  @Test func decodesEveryFloatTypeAsTheReferenceDoes() throws {
    let checkpoint = try SafetensorsFormat.open(SharedData.fixture("floats/types.safetensors"), options: OpenOptions())
    #expect(checkpoint.metadata["made"] == .string("by the reference"))
    for name in ["f64", "f32", "f16", "bf16", "e4m3", "e5m2"] {
      guard let stored = checkpoint[name], let expected = checkpoint[name + ".expected"] else {
        Issue.record("\(name) is missing")
        continue
      }
      #expect(stored.shape == [7, 33])
      #expect(stored.matrix().values.map(\.bitPattern) == expected.matrix().values.map(\.bitPattern), "\(name)")
    }
    #expect(checkpoint["i64"]?.storage.isNumeric == false)
    #expect(checkpoint["i64"]?.storage.schemeName == "i64")
  }
}
