import GGUF
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Builds GGUF files byte by byte.
struct GGUFBytes {
  var pairs: [[UInt8]] = []
  var tensors: [(name: String, dimensions: [UInt64], type: UInt32, offset: UInt64)] = []
  var data: [UInt8] = []
  var version: UInt32 = 3

  static func bytes<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }
  static func string(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

  init() { pair("general.architecture", 8, GGUFBytes.string("llama")) }

  mutating func pair(_ key: String, _ type: UInt32, _ value: [UInt8]) {
    pairs.append(GGUFBytes.string(key) + GGUFBytes.bytes(type) + value)
  }
  mutating func number(_ key: String, _ value: UInt32) { pair(key, 4, GGUFBytes.bytes(value)) }
  mutating func strings(_ key: String, _ values: [String]) {
    pair(key, 9, GGUFBytes.bytes(UInt32(8)) + GGUFBytes.bytes(UInt64(values.count)) + values.flatMap { GGUFBytes.string($0) })
  }
  /// Adds a tensor of 32-bit floats and its padded data.
  mutating func floats(_ name: String, _ dimensions: [UInt64], _ values: [Float]) {
    tensors.append((name, dimensions, 0, UInt64(data.count)))
    for value in values { data += GGUFBytes.bytes(value.bitPattern) }
    data += [UInt8](repeating: 0, count: (32 - data.count % 32) % 32)
  }

  var file: [UInt8] {
    var out = Array("GGUF".utf8) + GGUFBytes.bytes(version)
    out += GGUFBytes.bytes(UInt64(tensors.count)) + GGUFBytes.bytes(UInt64(pairs.count))
    out += pairs.flatMap { $0 }
    for tensor in tensors {
      out += GGUFBytes.string(tensor.name) + GGUFBytes.bytes(UInt32(tensor.dimensions.count))
      out += tensor.dimensions.flatMap { GGUFBytes.bytes($0) } + GGUFBytes.bytes(tensor.type) + GGUFBytes.bytes(tensor.offset)
    }
    out += [UInt8](repeating: 0, count: (32 - out.count % 32) % 32)
    return out + data
  }
}

@Suite struct ReaderTests {
  private func open(_ file: GGUFBytes) throws -> Checkpoint {
    let folder = TemporaryFolder()
    writeFile(folder.file("x.gguf"), file.file)
    return try GGUFFormat.open(folder.file("x.gguf"), options: OpenOptions())
  }

  private func id(_ file: GGUFBytes) -> String? { failure { _ = try open(file) }?.id }

  private func failure(_ body: () throws -> Void) -> Failure? {
    do {
      try body()
      return nil
    } catch {
      return error as? Failure
    }
  }

  @Test func readsVersionsTwoAndThree() throws {
    for version: UInt32 in [2, 3] {
      var file = GGUFBytes()
      file.version = version
      file.floats("a", [3, 2], [1, 2, 3, 4, 5, 6])
      let checkpoint = try open(file)
      #expect(checkpoint["a"]?.shape == [2, 3])
      #expect(checkpoint["a"]?.matrix()[1, 0] == 4)
      #expect(checkpoint.naming == GGUFFormat.naming)
      #expect(checkpoint.configuration?.architecture == "llama")
    }
  }

  @Test func saysWhereThePaddingHidesSomething() throws {
    var file = GGUFBytes()
    file.floats("a", [3], [1, 2, 3])
    file.floats("b", [3], [1, 2, 3])
    #expect(try open(file).warnings.isEmpty)
    let start = file.file.count - file.data.count
    for place in [31, 63] {
      var changed = file
      changed.data[place] = 1
      #expect(try open(changed).warnings == ["x.gguf: the padding at byte \(start + place) is not zero; its content is ignored."])
    }
    var bytes = file.file
    bytes[start - 1] = 1
    let folder = TemporaryFolder()
    writeFile(folder.file("y.gguf"), bytes)
    #expect(try GGUFFormat.open(folder.file("y.gguf"), options: OpenOptions()).warnings.count == 1)
  }

  @Test func keepsEveryTypeOfValue() throws {
    var file = GGUFBytes()
    let b = { (value: UInt64) in GGUFBytes.bytes(value) }
    file.pair("a.u8", 0, [255])
    file.pair("a.i8", 1, [255])
    file.pair("a.u16", 2, [1, 2])
    file.pair("a.i16", 3, [0xff, 0xff])
    file.pair("a.i32", 5, [0xfe, 0xff, 0xff, 0xff])
    file.pair("a.f32", 6, GGUFBytes.bytes(Float(1.5).bitPattern))
    file.pair("a.bool", 7, [1])
    file.pair("a.u64", 10, b(.max))
    file.pair("a.i64", 11, b(.max))
    file.pair("a.f64", 12, b(Double(0.1).bitPattern))
    file.pair("b.u8", 9, GGUFBytes.bytes(UInt32(0)) + b(2) + [1, 2])
    file.pair("b.i16", 9, GGUFBytes.bytes(UInt32(3)) + b(1) + [0xff, 0xff])
    file.pair("b.bool", 9, GGUFBytes.bytes(UInt32(7)) + b(2) + [1, 0])
    file.pair("b.f64", 9, GGUFBytes.bytes(UInt32(12)) + b(1) + b(Double(2).bitPattern))
    file.strings("b.str", ["é", ""])
    let values = try open(file).metadata
    let expected: [(String, MetadataValue)] = [
      ("general.architecture", .string("llama")), ("a.u8", .u8(255)), ("a.i8", .i8(-1)), ("a.u16", .u16(0x201)), ("a.i16", .i16(-1)),
      ("a.i32", .i32(-2)), ("a.f32", .f32(1.5)), ("a.bool", .bool(true)), ("a.u64", .u64(.max)), ("a.i64", .i64(-1)),
      ("a.f64", .f64(0.1)), ("b.u8", .u8s([1, 2])), ("b.i16", .i16s([-1])), ("b.bool", .bools([true, false])), ("b.f64", .f64s([2])),
      ("b.str", .strings(["é", ""])),
    ]
    #expect(values.entries.map(\.key) == expected.map(\.0))
    for (key, value) in expected { #expect(values[key] == value, "\(key)") }
  }

  @Test func refusesModelsWhoseNumbersCannotBe() {
    func with(_ pairs: [(String, UInt32)]) -> String? {
      var file = GGUFBytes()
      for (key, value) in pairs { file.number("llama.\(key)", value) }
      file.floats("t", [1], [0])
      return id(file)
    }
    #expect(with([("attention.head_count", 8), ("attention.head_count_kv", 3)]) == "model.head-count-kv")
    #expect(with([("attention.head_count", 8), ("attention.head_count_kv", 0)]) == "model.head-count-kv")
    #expect(with([("attention.head_count", 8), ("embedding_length", 64), ("rope.dimension_count", 16)]) == "model.rope-dimension")
    #expect(with([("attention.head_count", 8), ("attention.key_length", 16), ("rope.dimension_count", 16)]) == nil)
    #expect(with([("expert_count", 4), ("expert_used_count", 5)]) == "model.expert-count")
    #expect(with([("attention.head_count", 0), ("ssm.state_size", 16)]) == nil)
    #expect(with([("block_count", 1), ("attention.head_count", 8), ("attention.head_count_kv", 2)]) == nil)
  }

  @Test func mergesAreTwoTokensWithOneSpaceBetween() {
    for (merge, expected) in [("a b", nil), ("ab", "model.tokenizer.merges"), ("a b c", "model.tokenizer.merges")] {
      var file = GGUFBytes()
      file.pair("tokenizer.ggml.model", 8, GGUFBytes.string("gpt2"))
      file.strings("tokenizer.ggml.merges", [merge])
      #expect(id(file) == expected)
    }
  }

  @Test func readsAllShardsFromTheFirst() throws {
    let folder = TemporaryFolder()
    func shard(_ index: UInt16, _ count: UInt16, total: UInt32 = 2, _ tensor: String) -> GGUFBytes {
      var file = GGUFBytes()
      if index > 0 { file.pairs = [] }
      file.pair("split.no", 2, GGUFBytes.bytes(index))
      file.pair("split.count", 2, GGUFBytes.bytes(count))
      file.pair("split.tensors.count", 5, GGUFBytes.bytes(total))
      file.floats(tensor, [1], [Float(index)])
      return file
    }
    let first = folder.file("m-00001-of-00002.gguf"), second = folder.file("m-00002-of-00002.gguf")
    writeFile(first, shard(0, 2, "a").file)
    func id(_ path: String) -> String? { failure { _ = try GGUFFormat.open(path, options: OpenOptions()) }?.id }
    #expect(id(first) == "gg.split.missing")
    writeFile(second, shard(1, 2, "b").file)
    let checkpoint = try GGUFFormat.open(first, options: OpenOptions())
    #expect(checkpoint.tensors.map(\.name) == ["a", "b"])
    #expect(checkpoint.files == [first, second])
    #expect(try GGUFFormat.open(second, options: OpenOptions()).tensors.map(\.name) == ["a", "b"])
    unlink(first)
    #expect(failure { _ = try GGUFFormat.open(second, options: OpenOptions()) }?.file == first)
    #expect(id(second) == "gg.split.missing")
    writeFile(first, shard(0, 2, "a").file)
    writeFile(second, shard(1, 3, "b").file)
    #expect(id(first) == "gg.split.mismatch")
    writeFile(second, shard(1, 2, "a").file)
    #expect(id(first) == "gg.tensor.duplicate")
    writeFile(second, shard(1, 2, "b").file)
    writeFile(first, shard(0, 2, total: 3, "a").file)
    #expect(id(first) == "gg.split.tensor-count")
    // A shard of another model with the same number of shards.
    writeFile(first, shard(0, 2, "a").file)
    writeFile(second, shard(1, 2, total: 7, "b").file)
    #expect(id(first) == "gg.split.tensor-count" && id(second) == "gg.split.tensor-count")
    #expect(failure { _ = try GGUFFormat.open(first, options: OpenOptions()) }?.file == second)
    writeFile(folder.file("other.gguf"), shard(0, 2, "a").file)
    #expect(id(folder.file("other.gguf")) == "gg.split.name")
  }

  @Test func recognisesFilesByTheirMagicOrName() {
    let folder = TemporaryFolder()
    writeFile(folder.file("x"), GGUFBytes().file)
    writeFile(folder.file("empty.gguf"), [])
    writeFile(folder.file("text"), Array("GGU".utf8))
    #expect(GGUFFormat.recognises(folder.file("x")))
    #expect(GGUFFormat.recognises(folder.file("empty.gguf")))
    #expect(!GGUFFormat.recognises(folder.file("text")))
    #expect(!GGUFFormat.recognises(folder.path))
  }

  @Test func sizesEveryTypeAsTheReferencePackageDoes() throws {
    // Written by the gguf package itself (Fixtures/gguf/make.py).
    let checkpoint = try GGUFFormat.open(SharedData.fixture("gguf/types.gguf"), options: OpenOptions())
    #expect(checkpoint.tensors.count == 33)
    for tensor in checkpoint.tensors {
      #expect(tensor.shape == [2, 256])
      // The package's names lack the suffix of llama.cpp's rules.
      let name = tensor.storage.schemeName.uppercased()
      #expect("t." + (name.hasSuffix("-GGML") ? String(name.dropLast("-GGML".count)) : name) == tensor.name)
    }
  }
}
