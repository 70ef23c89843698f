import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Blocks that predict further tokens: kept, alone, or left out.
@Suite struct PredictionTests {
  private let registry: Registry
  private let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  /// A folder with one such block, like its last.
  private func model(_ change: (inout EditedFolder) -> Void = { _ in }) throws -> String {
    let path = try RandomModel.predicting(into: folder)
    var edited = try EditedFolder(path)
    change(&edited)
    edited.save()
    return path
  }

  private func request(_ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void) -> ConversionRequest {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.scheme = "f32"
    request.threads = 2
    change(&request)
    return request
  }

  private func convert(
    _ input: String, _ output: String = "made.gguf", _ change: (inout ConversionRequest) -> Void = { _ in }
  ) throws -> (made: Checkpoint, warnings: [String]) {
    let plan = try Planner(registry).plan(request(input, output, change))
    try Converter(registry).run(plan, progress: SilentProgress())
    return (try Opening(registry).open(folder.file(output)), plan.warnings)
  }

  private func names(_ checkpoint: Checkpoint, of block: Int) -> [String] {
    checkpoint.tensors.map(\.name).filter { $0.hasPrefix("blk.\(block).") }
  }

  @Test func aCompleteBlockFollowsTheOthers() throws {
    let (made, warnings) = try convert(model())
    #expect(made.metadata["glm4moe.block_count"] == .u32(3) && made.metadata["glm4moe.nextn_predict_layers"] == .u32(1))
    #expect(names(made, of: 2).count == names(made, of: 1).count + 4)
    #expect(!warnings.contains { $0.contains("predict") })
  }

  /// What the block of a folder may lack, or hold otherwise than the model's own blocks.
  @Test(arguments: ["missing", "joined", "matrix", "shape", "more"]) func aBlockUnlikeTheOthersIsLeftOutAndCounted(_ what: String) throws {
    var count = 0
    let input = try model { edited in
      switch what {
      case "missing": edited.remove("layers.2.mlp.experts.3.up_proj.weight")
      case "joined":
        edited.tensors.removeAll { $0.name.hasPrefix("model.layers.2.mlp.experts.") }
        edited.tensors.append(
          .init(
            name: "model.layers.2.mlp.experts.gate_up_proj", type: "BF16", shape: [4, 48, 32],
            bytes: [UInt8](repeating: 0, count: 12288)))
      case "matrix": edited.remove("layers.2.eh_proj.weight")
      case "shape": edited.change("layers.2.enorm.weight") { $0.shape = [4, 8] }
      default:
        edited.tensors.append(
          .init(name: "model.layers.2.other.weight", type: "BF16", shape: [2], bytes: [UInt8](repeating: 0, count: 4)))
      }
      count = edited.tensors.count { $0.name.hasPrefix("model.layers.2.") }
    }
    let (made, warnings) = try convert(input)
    #expect(names(made, of: 2).isEmpty && !names(made, of: 1).isEmpty)
    #expect(made.metadata["glm4moe.block_count"] == .u32(2) && made.metadata["glm4moe.nextn_predict_layers"] == nil)
    #expect(warnings.count { $0.hasPrefix("\(count) tensors of blocks that predict further tokens are left out") } == 1, "\(warnings)")
    // Within folders nothing is lost.
    let copy = try convert(input, "copy") { $0.scheme = "int8-channel" }.made
    #expect(copy.tensors.count { $0.name.hasPrefix("model.layers.2.") } == count)
  }

  @Test func theyAreWrittenAloneOrNotAtAll() throws {
    let input = try model()
    let whole = try convert(input, "whole.gguf").made
    let alone = try convert(input, "alone.gguf") { $0.predictions = .alone }.made
    let expected = ["token_embd.weight"] + names(whole, of: 2) + ["output_norm.weight", "output.weight"]
    #expect(Set(alone.tensors.map(\.name)) == Set(expected))
    for tensor in alone.tensors { #expect(whole[tensor.name]?.matrix() == tensor.matrix(), "\(tensor.name)") }
    #expect(alone.metadata["glm4moe.block_count"] == .u32(3) && alone.metadata["glm4moe.nextn_predict_layers"] == .u32(1))
    let (without, warnings) = try convert(input, "without.gguf") { $0.predictions = .none }
    #expect(without.tensors.map(\.name) == whole.tensors.map(\.name).filter { !$0.hasPrefix("blk.2.") })
    #expect(without.metadata["glm4moe.block_count"] == .u32(2) && !warnings.contains { $0.contains("predict") })
  }

  @Test func whatTheyCannotBeIsRefused() throws {
    let input = try model(), plain = try RandomModel.copy("glm4-moe", into: folder)
    let cases: [(input: String, output: String, id: String, change: (inout ConversionRequest) -> Void)] = [
      (input, "out", "prediction.format", { _ in }), (plain, "a.gguf", "prediction.absent", { _ in }),
      (input, "a.gguf", "prediction.setting", { $0.methods = [("awq", [:])] }),
    ]
    for (input, output, id, change) in cases {
      let failure = #expect(throws: Failure.self) {
        try Planner(registry).plan(
          request(input, output) {
            $0.predictions = .alone
            change(&$0)
          })
      }
      #expect(failure?.id == id && failure?.remedy != nil)
    }
  }
}
