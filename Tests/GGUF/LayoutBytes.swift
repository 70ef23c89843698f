import FamilyKit
import GGUF
import QuantCore
import TestSupport
import Testing

private func planned(_ name: String, _ shape: [Int], _ scheme: FloatScheme) -> PlannedTensor {
  PlannedTensor(
    sourceName: name, name: name, shape: shape, scheme: scheme, packing: PlainPacking(),
    parts: PlainPacking().parts(name: name, shape: shape, scheme: scheme), note: nil, isCopy: false)
}

private func request(format: String, metadata: KeyValues, tensors: [PlannedTensor]) -> OutputRequest {
  let source = Checkpoint(
    path: "/models/stories260k", format: format, tensors: [], naming: GGUFFormat.naming, configuration: nil, metadata: metadata,
    companionFolder: "/models/stories260k", files: [])
  var numbers = DecoderNumbers()
  numbers.hiddenSize = 64
  numbers.blockCount = 5
  numbers.headCount = 8
  numbers.keyValueHeadCount = 4
  numbers.headSize = 8
  numbers.feedForwardSize = 172
  numbers.vocabularySize = 260
  numbers.contextLength = 512
  var keys = GGUFKeys("llama")
  keys.setCommon(numbers, rope: Rope(theta: 10000, dimension: 8), statesHeadSize: true)
  keys.set("vocab_size", 260)
  keys.set("rope.dimension_count", 8)
  var model = ModelDescription.of([])
  model.vocabularySize = 260
  model.configurations[GGUFFormat.naming] = keys.configuration
  var tokenizer = TokenizerData(kind: .sentencePieceBPE, tokens: ["<unk>", "<s>", "</s>"])
  let hexadecimal = Array("0123456789ABCDEF")
  tokenizer.tokens += (0..<256).map { "<0x\(hexadecimal[$0 / 16])\(hexadecimal[$0 % 16])>" }
  tokenizer.scores = [Float](repeating: 0, count: 259)
  tokenizer.types = [.unknown, .control, .control] + [TokenizerData.TokenType](repeating: .byte, count: 256)
  tokenizer.special = ["eos": 2, "bos": 1, "unknown": 0]
  tokenizer.addsBOS = true
  tokenizer.addsEOS = false
  return OutputRequest(
    source: source, model: model, tokenizer: tokenizer, tensors: tensors, presetName: "q4_k_m",
    provenance: [("version", "1.0"), ("qconvert.plugin", "rtn")], targetName: "target")
}

/// A reader of headers that shares no code with the writer.
private struct Header {
  var keys: [String] = []
  var values: [String: [UInt8]] = [:]
  var tensors: [(name: String, dimensions: [UInt64], type: UInt32, offset: UInt64)] = []
  var dataStart = 0

  init?(_ bytes: [UInt8]) {
    var position = 0
    func take<T: FixedWidthInteger>(_: T.Type) -> T {
      defer { position += MemoryLayout<T>.size }
      return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: T.self)) }
    }
    func text() -> String {
      let count = Int(take(UInt64.self))
      defer { position += count }
      return String(decoding: bytes[position..<position + count], as: UTF8.self)
    }
    func skip(_ type: UInt32) {
      switch type {
      case 0, 1, 7: position += 1
      case 2, 3: position += 2
      case 4, 5, 6: position += 4
      case 10, 11, 12: position += 8
      case 8: _ = text()
      default:
        let element = take(UInt32.self)
        for _ in 0..<take(UInt64.self) { skip(element) }
      }
    }
    guard Array(bytes[0..<4]) == Array("GGUF".utf8) else { return nil }
    position = 4
    guard take(UInt32.self) == 3 else { return nil }
    let count = take(UInt64.self)
    for _ in 0..<take(UInt64.self) {
      let key = text()
      let start = position
      skip(take(UInt32.self))
      keys.append(key)
      values[key] = Array(bytes[start..<position])
    }
    for _ in 0..<count {
      let name = text()
      let dimensions = (0..<take(UInt32.self)).map { _ in take(UInt64.self) }
      tensors.append((name, dimensions, take(UInt32.self), take(UInt64.self)))
    }
    dataStart = (position + 31) / 32 * 32
  }
}

@Test func tensorsAreContiguousAlignedAndInnermostFirst() throws {
  let tensors = [
    planned("token_embd.weight", [3, 5], .f16), planned("output_norm.weight", [5], .f32), planned("blk.0.attn_q.weight", [2, 5], .bf16),
  ]
  let layout = try GGUFFormat.layout(request(format: "huggingface", metadata: KeyValues(), tensors: tensors))
  let header = try #require(Header(layout.files[0].literals[0].bytes))
  #expect(header.tensors.map(\.name) == tensors.map(\.name))
  #expect(header.tensors.map(\.dimensions) == [[5, 3], [5], [5, 2]])
  #expect(header.tensors.map(\.type) == [1, 0, 30])
  #expect(header.tensors.map(\.offset) == [0, 32, 64])
  #expect(layout.placements.map(\.offset) == [0, 32, 64].map { header.dataStart + $0 })
  #expect(layout.files[0].size == header.dataStart + 96)
}

/// Keys in the order in which llama.cpp's converter wrote them for a Llama with a SentencePiece tokenizer.
@Test func keysAreThoseOfTheConverter() throws {
  let tensors = [planned("token_embd.weight", [4, 64], .f32)]
  let layout = try GGUFFormat.layout(request(format: "huggingface", metadata: KeyValues(), tensors: tensors))
  let header = try #require(Header(layout.files[0].literals[0].bytes))
  #expect(
    header.keys == [
      "general.architecture", "general.type", "general.name", "general.size_label", "llama.block_count", "llama.context_length",
      "llama.embedding_length", "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.head_count_kv",
      "llama.rope.freq_base", "llama.attention.layer_norm_rms_epsilon", "llama.attention.key_length", "llama.attention.value_length",
      "general.file_type", "llama.vocab_size", "llama.rope.dimension_count", "general.quantization_version", "tokenizer.ggml.model",
      "tokenizer.ggml.pre", "tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type",
      "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.add_bos_token",
      "tokenizer.ggml.add_eos_token", "qconvert.version", "qconvert.plugin",
    ])
  func string(_ key: String) -> String { String(decoding: (header.values[key] ?? []).dropFirst(12), as: UTF8.self) }
  #expect(string("general.name") == "Stories260K")
  #expect(header.values["general.file_type"] == [4, 0, 0, 0, 15, 0, 0, 0])
  #expect(header.values["llama.attention.head_count_kv"] == [4, 0, 0, 0, 4, 0, 0, 0])
  #expect(header.values["llama.attention.layer_norm_rms_epsilon"]?.prefix(4) == [6, 0, 0, 0])
  // The missing last token is added as an unused one.
  #expect(string("tokenizer.ggml.tokens").hasSuffix("[PAD259]"))
  #expect(header.values["tokenizer.ggml.token_type"]?.suffix(4) == [5, 0, 0, 0])
}

@Test func pairsOfAnotherGGUFAreKeptInOrder() throws {
  var metadata = KeyValues()
  metadata["general.architecture"] = .string("new-one")
  metadata["general.alignment"] = .u32(64)
  metadata["general.file_type"] = .u32(1)
  metadata["new-one.list"] = .f32s([1, 2])
  metadata["split.count"] = .u16(2)
  let layout = try GGUFFormat.layout(request(format: "gguf", metadata: metadata, tensors: [planned("a.weight", [2, 2], .f32)]))
  let header = try #require(Header(layout.files[0].literals[0].bytes))
  #expect(
    header.keys == [
      "general.architecture", "general.file_type", "new-one.list", "general.quantization_version", "qconvert.version", "qconvert.plugin",
    ])
  #expect(header.values["general.file_type"] == [4, 0, 0, 0, 15, 0, 0, 0])
}

@Test func whatGGUFCannotHoldIsRefused() {
  let long = planned(String(repeating: "x", count: 64), [1, 2], .f32)
  let deep = planned("deep", [1, 1, 1, 1, 2], .f32)
  let twice = planned("twice", [2], .f32)
  for tensors in [[long], [deep], [twice, twice]] {
    #expect(throws: Failure.self) { try GGUFFormat.layout(request(format: "gguf", metadata: KeyValues(), tensors: tensors)) }
  }
}
