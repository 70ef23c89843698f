import FolderKit
import QuantCore
import TestSupport
import Testing

@testable import HuggingFace

private func planned(_ name: String, _ shape: [Int], _ scheme: FloatScheme = .bf16) -> PlannedTensor {
  PlannedTensor(
    sourceName: name, name: name, shape: shape, scheme: scheme, packing: PlainPacking(),
    parts: PlainPacking().parts(name: name, shape: shape, scheme: scheme), note: nil, isCopy: false)
}

/// 4-bit integers with a configuration, in place of any plug-in's packing.
private struct NibblePacking: FolderPacking {
  static let id = "nibbles"
  static let summary = ""
  static let reference = ""
  init() {}
  func holds(_ grid: Grid) -> Bool { true }
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    [
      StoredPart(name: name + "_packed", shape: [shape[0]], type: .element(.i32), byteCount: shape[0] * 4),
      StoredPart(name: name + "_shape", shape: [2], type: .element(.i64), byteCount: 16),
    ]
  }
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] { [] }
  func configuration(modules: [QuantizedModule], unquantized: [String]) throws -> JSON? {
    .object([.init("modules", .array(modules.map { .string($0.name) })), .init("ignore", .array(unquantized.map { .string($0) }))])
  }
}

private func quantized(_ name: String, _ shape: [Int]) throws -> PlannedTensor {
  let scheme = try #require(IntegerScheme(bits: 4, groupLength: 2, isSymmetric: true, modelType: .bf16))
  return PlannedTensor(
    sourceName: name, name: name, shape: shape, scheme: scheme, packing: NibblePacking(),
    parts: NibblePacking().parts(name: name, shape: shape, scheme: scheme), note: nil, isCopy: false)
}

private let configuration = JSON.object([
  .init("architectures", .array([.string("LlamaForCausalLM")])), .init("rms_norm_eps", .number("1e-05")),
  .init("torch_dtype", .string("bfloat16")), .init("quantization_config", .object([])),
])

private func request(
  _ tensors: [PlannedTensor], companions: String? = nil, shardSize: Int? = nil, configuration: Configuration?
) -> OutputRequest {
  let source = Checkpoint(
    path: "/in", format: "huggingface", tensors: [], naming: HuggingFaceFormat.naming, configuration: configuration,
    companionFolder: companions, files: [])
  return OutputRequest(
    source: source, model: nil, tokenizer: nil, tensors: tensors, presetName: "w4a16", provenance: [("version", "1.0")],
    targetName: "out", shardSize: shardSize)
}

private func text(_ layout: OutputLayout, _ name: String) -> String? {
  layout.files.first { $0.name == name }.map { String(decoding: $0.literals[0].bytes, as: UTF8.self) }
}

/// Name, type and offsets of each tensor, read from a header as the specification says.
private func header(_ layout: OutputLayout, _ name: String) throws -> (start: Int, json: JSON) {
  let file = try #require(layout.files.first { $0.name == name })
  let bytes = file.literals[0].bytes
  let length = bytes.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
  #expect(length.isMultiple(of: 8) && bytes.count == 8 + length)
  return (8 + length, try JSON.parse(ByteView(Array(bytes.dropFirst(8))), .strict))
}

@Test func headerHasNoGapsAndAlignsEveryElement() throws {
  let tensors = [planned("norm.weight", [3]), try quantized("a.weight", [3, 4]), planned("b", [1], .f32)]
  let layout = try HuggingFaceFormat.layout(request(tensors, configuration: CompanionFiles.configuration(configuration)))
  let (start, json) = try header(layout, "model.safetensors")
  #expect(json["__metadata__"] == .object([.init("format", .string("pt")), .init("qconvert.version", .string("1.0"))]))
  var end = 0
  for member in json.objectValue ?? [] where member.key != "__metadata__" {
    let offsets = (member.value["data_offsets"]?.arrayValue ?? []).compactMap(\.intValue)
    let type = try #require(ElementType(rawValue: member.value["dtype"]?.stringValue ?? ""))
    #expect(offsets[0] == end)
    #expect((start + offsets[0]).isMultiple(of: type.bitCount / 8))
    end = offsets[1]
  }
  #expect(layout.files.first { $0.name == "model.safetensors" }?.size == start + end)
  #expect(Set(layout.placements.map { [$0.tensor, $0.part] }) == [[0, 0], [1, 0], [1, 1], [2, 0]])
}

@Test func configurationGetsWhatClientsOfThePackingNeed() throws {
  let tensors = [
    planned("model.embed_tokens.weight", [8, 4]), try quantized("model.layers.0.a.weight", [3, 4]),
    planned("model.layers.0.b.weight", [3, 4]), planned("model.norm.weight", [4]),
  ]
  let layout = try HuggingFaceFormat.layout(request(tensors, configuration: CompanionFiles.configuration(configuration)))
  #expect(
    text(layout, "config.json") == """
      {
        "architectures": [
          "LlamaForCausalLM"
        ],
        "rms_norm_eps": 1e-05,
        "torch_dtype": "bfloat16",
        "quantization_config": {
          "modules": [
            "model.layers.0.a"
          ],
          "ignore": [
            "model.layers.0.b",
            "lm_head"
          ]
        }
      }

      """)
}

@Test func typeInTheConfigurationFollowsTheWeights() throws {
  let layout = try HuggingFaceFormat.layout(
    request([planned("a.weight", [8, 8], .f16), planned("n", [2], .f32)], configuration: CompanionFiles.configuration(configuration)))
  #expect(text(layout, "config.json")?.contains(#""torch_dtype": "float16""#) == true)
  #expect(text(layout, "config.json")?.contains("quantization_config") == false)
}

@Test func shardsAreCutBySizeAndNamedByAnIndexThatComesLast() throws {
  let tensors = (0..<5).map { planned("t\($0)", [4], .f32) }
  let layout = try HuggingFaceFormat.layout(request(tensors, shardSize: 40, configuration: CompanionFiles.configuration(configuration)))
  let names = layout.files.map(\.name)
  #expect(names.suffix(4) == (1...3).map { "model-0000\($0)-of-00003.safetensors" } + ["model.safetensors.index.json"])
  let index = try JSON.parse(ByteView(Array((text(layout, "model.safetensors.index.json") ?? "").utf8)), .strict)
  #expect(index["metadata"]?["total_size"]?.intValue == 80)
  #expect(index["weight_map"]?["t2"]?.stringValue == "model-00002-of-00003.safetensors")
  for placement in layout.placements { #expect(names[placement.file] == index["weight_map"]?["t\(placement.tensor)"]?.stringValue) }
}

@Test func companionsAreCopiedVerbatimAndOthersAreNot() throws {
  let folder = TemporaryFolder()
  writeFile(folder.file("tokenizer.json"), [1, 2, 0, 255])
  writeFile(folder.file("README.md"), [9])
  writeFile(folder.file("secrets.txt"), [1])
  let layout = try HuggingFaceFormat.layout(
    request([], companions: folder.path, configuration: CompanionFiles.configuration(configuration)))
  #expect(layout.files.first { $0.name == "tokenizer.json" }?.literals[0].bytes == [1, 2, 0, 255])
  #expect(layout.files.map(\.name) == ["config.json", "tokenizer.json", "README.md", "model.safetensors"])
  #expect(text(layout, "README.md")?.contains("# out") == true)
}

@Test func folderWithoutAConfigurationIsRefused() {
  let without = #expect(throws: Failure.self) { try HuggingFaceFormat.layout(request([], configuration: nil)) }
  #expect(without?.remedy?.description.contains("'config'") == true)
  let ggufKeys = Configuration(KeyValues(), architecture: nil)
  let fromGGUF = #expect(throws: Failure.self) { try HuggingFaceFormat.layout(request([], configuration: ggufKeys)) }
  #expect(fromGGUF?.id == "hf.from-gguf")
}

@Test func frontMatterOfACardIsReadAsItIsSpelt() {
  let folder = TemporaryFolder()
  let card = """
    ---
    license: apache-2.0
    language:
    - en
    - no
    base_model: org/Model-1B
    version: 1.10
    widget:
    - text: hello
    ---
    # Title
    """
  writeFile(folder.file("README.md"), Array(card.utf8))
  let values = ModelCard.keyValues(folder: folder.path)
  #expect(values["card.license"] == .string("apache-2.0"))
  #expect(values["card.language"] == .strings(["en", "no"]))
  #expect(values["card.version"] == .string("1.10"))
  #expect(values["card.base_model"] == .string("org/Model-1B"))
  for bad in ["", "# no front matter", "---\nopen: [", "---\n" + String(repeating: "- ", count: 9000) + "\n---\n", "---\n- a\n---\n"] {
    writeFile(folder.file("README.md"), Array(bad.utf8))
    #expect(ModelCard.keyValues(folder: folder.path).entries.isEmpty)
  }
}
