import HuggingFace
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Tensors of a real model against the reference implementation, where Python's safetensors is installed.
@Suite struct ReaderOracleTests {
  /// The interpreter that has numpy and safetensors, or nil.
  private func python() -> String? {
    let candidates = [getenv("QCONVERT_PYTHON").map { String(cString: $0) } ?? "", "python3"]
    for candidate in candidates where !candidate.isEmpty {
      if system("'\(candidate)' -c 'import safetensors, numpy, torch' 2> /dev/null") == 0 { return candidate }
    }
    print("skipped: needs a Python with safetensors and torch (set QCONVERT_PYTHON)")
    return nil
  }

  @Test func readsATrainedModelWithAllItsParts() throws {
    guard let path = SharedData.path("models/tiny-llama") else { return }
    let checkpoint = try HuggingFaceFormat.open(path, options: OpenOptions())
    #expect(checkpoint.configuration?.architecture == "LlamaForCausalLM")
    #expect(checkpoint.warnings.isEmpty)
    let bytes = checkpoint.tensors.reduce(0) { $0 + $1.storage.byteCount }
    #expect(bytes < readFile(path + "/model.safetensors").count)
    for tensor in checkpoint.tensors {
      let values = tensor.matrix().values
      #expect(values.allSatisfy { $0.isFinite } && values.contains { $0 != 0 }, "\(tensor.name)")
    }
  }

  @Test func decodesEveryFloatTypeAsTheReferenceDoes() throws {
    guard let python = python() else { return }
    let folder = TemporaryFolder()
    writeText(
      folder.file("make.py"),
      """
      import torch
      from safetensors.torch import save_file
      torch.manual_seed(1)
      t = torch.randn(7, 33, dtype=torch.float64) * torch.logspace(-9, 4, 33, dtype=torch.float64)
      names = {"f64": torch.float64, "f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16,
               "e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
      out = {}
      for n, d in names.items():
          out[n] = t.to(d)
          out[n + ".expected"] = out[n].to(torch.float32).clone()
      out["i64"] = torch.arange(5)
      save_file(out, "x.safetensors", {"made": "by the reference"})
      """)
    #expect(system("cd '\(folder.path)' && '\(python)' make.py") == 0)
    let checkpoint = try SafetensorsFormat.open(folder.file("x.safetensors"), options: OpenOptions())
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
