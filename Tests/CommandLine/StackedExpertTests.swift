import QConvertKit
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// The experts of gpt-oss if no family describes the model's class: codes of all experts in one tensor, transposed relative to the
/// floats of the same model.
@Suite struct StackedExpertTests {
  private let registry: Registry
  private let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  private static let gateUp = "model.layers.0.mlp.experts.gate_up_proj", down = "model.layers.0.mlp.experts.down_proj"
  private static let attention = "model.layers.0.self_attn.q_proj.weight"

  /// A folder in F32 with two experts, 64 channels of hidden states and 32 inside an expert, and one layer of an attention.
  private func model(type: String = "gpt_oss", inner: Int = 32) throws -> String {
    let path = folder.file("model-\(type)-\(inner)")
    mkdir(path, 0o755)
    writeFile(path + "/config.json", Array(#"{"architectures": ["GptOssForSequenceClassification"], "model_type": "\#(type)"}"#.utf8))
    var header: [JSON.Member] = [], data: [UInt8] = []
    for (name, shape) in [(Self.gateUp, [2, 64, 2 * inner]), (Self.down, [2, inner, 64]), (Self.attention, [32, 64])] {
      let values = (0..<shape.reduce(1, *)).map { Float(($0 * 7919 + shape[1]) % 2003 - 1001) / 2048 }
      let bytes = NumberConversion.bytes(of: values, as: .f32)
      header.append(
        .init(
          name,
          .object([
            .init("dtype", .string("F32")), .init("shape", .array(shape.map { .int($0) })),
            .init("data_offsets", .array([.int(data.count), .int(data.count + bytes.count)])),
          ])))
      data += bytes
    }
    let text = Array(JSON.object(header).text().utf8)
    writeFile(path + "/model.safetensors", withUnsafeBytes(of: UInt64(text.count).littleEndian) { [UInt8]($0) } + text + data)
    return path
  }

  private func convert(_ input: String, _ name: String, _ change: (inout ConversionRequest) -> Void) throws -> String {
    var request = ConversionRequest(input: input, output: folder.file(name))
    request.threads = 2
    change(&request)
    try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return folder.file(name)
  }

  private func open(_ path: String) throws -> Checkpoint { try Opening(registry).open(path) }

  /// Why a conversion is refused.
  private func refusal(_ input: String, _ change: (inout ConversionRequest) -> Void) -> Failure? {
    do { _ = try convert(input, "refused", change) } catch { return error as? Failure }
    return nil
  }

  /// Codes and scales of a matrix that was transposed here.
  private func expected(_ stack: CheckpointTensor, expert: Int, scheme: any Scheme) -> QuantizedPanel {
    let (columns, rows) = (stack.shape[1], stack.shape[2]), values = stack.matrix().values
    let matrix = Matrix(
      rows: rows, columns: columns,
      values: (0..<rows * columns).map { values[(expert * columns + $0 % columns) * rows + $0 / columns] })
    var panel = scheme.emptyPanel(rows: rows, columns: columns)
    matrix.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    return panel
  }

  @Test(arguments: [nil, "gpt-oss"]) func stacksOfFloatsAreTransposedAndRounded(packing: String?) throws {
    let source = try open(model())
    let path = try convert(model(), "packed") {
      $0.scheme = "mxfp4"
      $0.packing = packing
    }
    let stored = Dictionary(storedTensors(path + "/model.safetensors").map { ($0.name, $0.shape) }, uniquingKeysWith: { a, _ in a })
    #expect(
      stored == [
        Self.gateUp + "_blocks": [2, 64, 2, 16], Self.gateUp + "_scales": [2, 64, 2], Self.down + "_blocks": [2, 64, 1, 16],
        Self.down + "_scales": [2, 64, 1], Self.attention: [32, 64],
      ])
    let made = try open(path)
    let configuration = try #require(made.quantizationConfiguration)
    #expect(configuration["quant_method"]?.stringValue == "mxfp4")
    #expect(
      configuration["modules_to_not_convert"]?.arrayValue?.compactMap(\.stringValue) == [
        "model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head",
      ])
    let scheme = try registry.scheme("mxfp4", modelType: .f32)
    for name in [Self.gateUp, Self.down] {
      let codes = try #require(made[name]?.storage.codes), stack = try #require(source[name])
      for expert in 0..<2 {
        let panel = codes.panel(rows: expert * stack.shape[2]..<(expert + 1) * stack.shape[2], rowLength: stack.shape[1])
        #expect(panel == expected(stack, expert: expert, scheme: scheme), "\(name), expert \(expert)")
      }
    }
    #expect(try #require(made[Self.attention]).hasSameContent(as: #require(source[Self.attention])))
  }

  @Test func floatsOfCodesAreTransposedBack() throws {
    let packed = try convert(model(), "packed") { $0.scheme = "mxfp4" }
    let floats = try convert(packed, "floats") { $0.scheme = "f32" }
    let (codes, values) = (try open(packed), try open(floats))
    #expect(values.quantizationConfiguration == nil)
    for name in [Self.gateUp, Self.down] {
      let stack = try #require(codes[name]), plain = try #require(values[name])
      #expect(plain.shape == [stack.shape[0], stack.shape[2], stack.shape[1]])
      let (rows, columns) = (stack.shape[1], stack.shape[2]), turned = stack.matrix().values
      let expected = (0..<stack.elementCount).map { index in
        let (expert, place) = index.quotientAndRemainder(dividingBy: rows * columns)
        return turned[expert * rows * columns + place % rows * columns + place / rows]
      }
      #expect(plain.matrix().values == expected)
    }
  }

  /// A folder that another tool wrote: every stored byte is kept, in one file and in shards.
  @Test(arguments: [nil, 40_000]) func codesOfOthersKeepTheirBytes(shardSize: Int?) throws {
    let golden = Golden.cut("gptoss-mxfp4")
    let path = try convert(golden, "kept") { $0.shardSize = shardSize }
    let names = try Files.list(path).filter { $0.hasSuffix(".safetensors") }
    #expect(names.count > (shardSize == nil ? 0 : 1))
    let kept = Dictionary(
      names.flatMap { storedTensors(path + "/" + $0) }.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    let original = storedTensors(golden + "/model.safetensors")
    #expect(original.count == kept.count && original.contains { $0.name.hasSuffix("_blocks") })
    for tensor in original { #expect(kept[tensor.name].map { $0.hasSameContent(as: tensor) } == true, "\(tensor.name)") }
    #expect(try open(path).quantizationConfiguration == open(golden).quantizationConfiguration)
  }

  @Test(arguments: ["vllm", "transformers"]) func clientsOfTheLayoutAreKnown(client: String) throws {
    let path = try convert(model(), "for-\(client)") {
      $0.scheme = "mxfp4"
      $0.client = client
    }
    #expect(try open(path).packing == "gpt-oss")
  }

  @Test func comparingLooksAtBothTheSameWay() throws {
    let source = try model()
    let packed = try convert(source, "packed") { $0.scheme = "mxfp4" }
    let floats = try convert(packed, "floats") { $0.scheme = "f32" }
    func verdicts(_ first: String, _ second: String) throws -> [Comparison.Tensor] {
      try Comparison(open(first), open(second), opening: Opening(registry), threads: 2).tensors.filter { $0.name.contains("experts") }
    }
    #expect(try verdicts(packed, floats).map(\.verdict) == [.repacked, .repacked])
    #expect(try verdicts(packed, packed).map(\.verdict) == [.equal, .equal])
    let rounded = try verdicts(source, packed)
    #expect(rounded.map(\.verdict) == [.different, .different])
    #expect(rounded.allSatisfy { (0.05..<0.2).contains($0.relativeError ?? 0) })
  }

  // MARK: Refusals

  /// Stacks of a class that no client is known to load as codes are counted, with the share of weights that becomes codes.
  @Test func stacksThatStayAreCounted() throws {
    var request = ConversionRequest(input: try model(type: "another"), output: folder.file("another"))
    (request.scheme, request.threads) = ("int8-channel", 2)
    let plan = try Planner(registry).plan(request)
    // 32 · 64 weights of the attention beside 2 · 64 · 64 and 2 · 32 · 64.
    let said = plan.warnings.filter { $0.hasPrefix("2 stacks of experts stay as stored") }
    #expect(
      said.count == 1 && said[0].contains("'\(Self.gateUp)'") && said[0].contains("14 % of the weights are quantized"), "\(plan.warnings)")
  }

  @Test func otherModelsAreRefused() throws {
    let other = refusal(try model(type: "llama")) {
      $0.scheme = "mxfp4"
      $0.packing = "gpt-oss"
    }
    #expect(other?.id == "packing.shape" && other?.tensor == Self.attention)
    #expect(other?.message.contains("stacked experts of gpt_oss") == true)
    // A stack of the same name in another model may be transposed.
    let stack = refusal(try model(type: "llama")) {
      $0.scheme = "bf16"
      $0.tensorRules = ["*.down_proj=mxfp4"]
    }
    #expect(stack?.id == "hf.not-linear")
  }

  @Test func otherSchemesAndPackingsOfStacksAreRefused() throws {
    let integers = refusal(try model()) {
      $0.scheme = "bf16"
      $0.tensorRules = ["*.down_proj=int4-g32"]
    }
    #expect(integers?.id == "packing.stack" && integers?.remedy?.description.contains("mxfp4") == true)
    let linear = refusal(try model()) {
      $0.scheme = "bf16"
      $0.tensorRules = ["*.down_proj=mxfp4"]
      $0.packing = "mxfp4-pack-quantized"
    }
    #expect(linear?.id == "packing.stack" && linear?.tensor == Self.down)
    // 48 channels are not a multiple of the group size.
    #expect(refusal(try model(inner: 48)) { $0.scheme = "mxfp4" }?.id == "scheme.row-length")
  }
}
