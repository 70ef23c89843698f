import QConvertKit
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Conversions from GGUF to GGUF: other types, other files, other metadata.
@Suite struct GGUFEditingTests: ConversionSuite {
  let registry: Registry
  let folder = TemporaryFolder()

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func open(_ path: String) throws -> Checkpoint { try Opening(registry).open(path) }

  private func types(_ path: String) throws -> [String: String] {
    Dictionary(uniqueKeysWithValues: try open(path).tensors.map { ($0.name, $0.storage.schemeName) })
  }

  private func files() throws -> [String] { try Files.list(Files.folder(of: folder.file("x"))) }

  private func source(_ scheme: String = "bf16") throws -> String {
    try convert(model, "\(scheme)-source.gguf") { $0.scheme = scheme }
  }

  /// The metadata keys whose values differ between two files.
  private func changes(_ a: String, _ b: String) throws -> Set<String> {
    let (first, second) = (try open(a).metadata, try open(b).metadata)
    return Set((first.entries + second.entries).map { $0.key }.filter { first[$0] != second[$0] })
  }

  /// Writes a copy of a file with one weight changed.
  private func change(_ path: String, _ tensor: CheckpointTensor, at index: Int, to value: Float, as name: String) throws {
    var bytes = readFile(path)
    // The file ends with its tensors, one after another.
    let behind = try open(path).tensors.drop { $0.name != tensor.name }.reduce(0) { $0 + $1.storage.byteCount }
    let place = bytes.count - behind + 4 * index
    withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.replaceSubrange(place..<place + 4, with: $0) }
    writeFile(folder.file(name), bytes)
  }

  // MARK: - Other types

  @Test func theWayThroughAGGUFOfTheSourceTypeChangesNoByte() throws {
    let direct = try convert(model, "direct.gguf") { $0.scheme = "q4_k_m" }
    let second = try convert(source(), "second.gguf") { $0.scheme = "q4_k_m" }
    let (a, b) = (try open(direct), try open(second))
    #expect(a.tensors.map { $0.name }.sorted() == b.tensors.map { $0.name }.sorted())
    for tensor in a.tensors { #expect(b[tensor.name].map { tensor.hasSameContent(as: $0) } == true, "\(tensor.name)") }
    #expect(try changes(direct, second).allSatisfy { $0.hasPrefix("qconvert.") })
  }

  @Test func quantizedTensorsAreRoundedAgainOnlyWhereThatIsAllowed() throws {
    let quantized = try source("q8_0")
    #expect(failure(quantized, "x.gguf") { $0.scheme = "q4_k_m" }?.id == "convert.requantize")
    let again = try convert(quantized, "again.gguf") {
      $0.scheme = "q4_k_m"
      $0.allowRequantize = true
    }
    #expect(try types(again) == types(convert(model, "direct.gguf") { $0.scheme = "q4_k_m" }))
  }

  @Test func aFileIsKeptToTheByte() throws {
    let quantized = try source("q4_k_m")
    let copy = try convert(quantized, "copy.gguf")
    #expect(readFile(copy) == readFile(quantized))
    let plain = try source("f16")
    #expect(try readFile(convert(plain, "plain.gguf") { $0.scheme = "keep" }) == readFile(plain))
  }

  @Test func anArchitectureThatNobodyDescribesIsQuantizedByNamesAndKeys() throws {
    let plain = try source("f16")
    let other = try convert(plain, "other.gguf") {
      $0.scheme = "keep"
      $0.metadataValues = ["general.architecture=str:unheard-of", "unheard-of.block_count=u32:8"]
    }
    #expect(try Opening(registry).family(of: open(other)) == nil)
    let (own, described) = (
      try convert(other, "a.gguf") { $0.scheme = "q4_k_m" }, try convert(plain, "b.gguf") { $0.scheme = "q4_k_m" }
    )
    #expect(try types(own) == types(described))
    #expect(try open(own).metadata["unheard-of.block_count"] == .u32(8))
  }

  // MARK: - Which tensors

  @Test func outputAndEmbeddingHaveSchemesOfTheirOwn() throws {
    let found = try types(
      convert(model, "x.gguf") {
        $0.scheme = "q4_k_m"
        $0.outputScheme = "q8_0"
        $0.embeddingScheme = "keep"
        $0.keptTensors = ["blk.0.*"]
        $0.tensorRules = ["blk.1.attn_v.weight=q5_0"]
      })
    #expect(found["output.weight"] == "q8_0" && found["token_embd.weight"] == "bf16")
    #expect(found["blk.0.attn_q.weight"] == "bf16" && found["blk.1.attn_v.weight"] == "q5_0" && found["blk.1.attn_q.weight"] == "q4_k")
  }

  @Test func pureUsesOneTypeAndFallsBackOnlyWhereRowsDoNotFit() throws {
    let found = try types(
      convert(model, "x.gguf") {
        $0.scheme = "q6_k"
        $0.isPure = true
      })
    #expect(Set(found.filter { $0.key.hasSuffix("weight") && !$0.key.contains("norm") }.values) == ["q6_k"])
  }

  @Test func withoutItsMixAPresetIsItsMainScheme() throws {
    let tensors = try plan(source(), "pure.gguf") {
      $0.scheme = "q4_k_m"
      $0.isPure = true
    }.tensors.filter { $0.scheme.grid.kind != .float }
    #expect(!tensors.isEmpty && tensors.allSatisfy { $0.note != nil || $0.scheme.name == "q4_k" })
  }

  @Test func rulesOfLlamaQuantizeAreSearchedForInLowerCaseAndTheFirstWins() throws {
    let found = try types(
      convert(model, "x.gguf") {
        $0.scheme = "q4_k_s"
        $0.tensorTypes = ["BLK\\.\\D?0\\.ATTN_V=Q8_0", "attn_v=q6_k", "ffn_(up|gate)=q5_1"]
      })
    #expect(found["blk.0.attn_v.weight"] == "q8_0" && found["blk.1.attn_v.weight"] == "q6_k")
    #expect(found["blk.3.ffn_up.weight"] == "q5_1" && found["blk.3.ffn_down.weight"] == "q4_k")
    #expect(failure(model, "y.gguf") { $0.tensorTypes = ["nowhere=q8_0"] }?.id == "rule.no-match")
  }

  @Test func rulesOfLlamaQuantizePassOverNormsThatTheyName() throws {
    let found = try types(
      convert(model, "x.gguf") {
        $0.scheme = "q8_0"
        $0.tensorTypes = ["attn|ffn=q4_0"]
      })
    #expect(found["blk.0.attn_norm.weight"] == "f32" && found["blk.0.ffn_norm.weight"] == "f32")
    #expect(found["blk.0.attn_q.weight"] == "q4_0" && found["blk.0.ffn_up.weight"] == "q4_0" && found["output.weight"] == "q8_0")
  }

  @Test func aModelWithoutSuchAMatrixIsToldSo() throws {
    let tied = try RandomModel.copy("gpt2", into: folder)
    #expect(failure(tied, "x.gguf") { $0.embeddingScheme = "nothing" }?.id == "scheme.unknown")
    let found = try types(
      convert(tied, "x.gguf") {
        $0.scheme = "q8_0"
        $0.outputScheme = "f16"
      })
    #expect(found["token_embd.weight"] == "f16" && found["output.weight"] == nil)
  }

  // MARK: - Several files

  @Test func aSplitOutputHasTheTensorsOfTheWholeOne() throws {
    let whole = try source("q8_0")
    try convert(whole, "out.gguf") { $0.shardSize = 2_000_000 }
    let names = try files().filter { $0.hasPrefix("out") }
    #expect(names.count > 3 && names == (1...names.count).map { "out-0000\($0)-of-0000\(names.count).gguf" })
    let first = try open(folder.file(names[0])), last = try open(folder.file(names[names.count - 1]))
    for (a, b) in [(try open(whole), first), (first, last)] {
      #expect(
        zip(a.tensors, b.tensors).allSatisfy { $0.name == $1.name && $0.hasSameContent(as: $1) } && a.tensors.count == b.tensors.count)
    }
    for name in names { #expect(try Files.read(folder.file(name), maximumBytes: 2_400_000).isEmpty == false) }
    #expect(first.metadata["split.count"] == .u16(UInt16(names.count)) && first.metadata["split.no"] == .u16(0))
    #expect(first.metadata["split.tensors.count"] == .i32(Int32(first.tensors.count)))
    #expect(try readFile(convert(folder.file(names[1]), "merged.gguf")) == readFile(whole))
  }

  @Test func anOutputBelowTheLimitIsOneFileOfItsOwnName() throws {
    try convert(source("q8_0"), "one.gguf") { $0.shardSize = 1 << 30 }
    #expect(try files().filter { $0.hasPrefix("one") } == ["one.gguf"])
  }

  @Test func keepingTheSplitCutsWhereTheInputIsCut() throws {
    try convert(source("q8_0"), "in.gguf") { $0.shardSize = 3_000_000 }
    let names = try files().filter { $0.hasPrefix("in-") }
    try convert(folder.file(names[0]), "out.gguf") {
      $0.keepsSplit = true
      $0.scheme = "q4_0"
      $0.allowRequantize = true
    }
    let made = try files().filter { $0.hasPrefix("out-") }
    #expect(made.count == names.count)
    let (a, b) = (try open(folder.file(names[0])), try open(folder.file(made[0])))
    #expect(a.fileIndices == b.fileIndices)
  }

  @Test func aMissingPartIsNamed() throws {
    try convert(source("q8_0"), "in.gguf") { $0.shardSize = 3_000_000 }
    let names = try files().filter { $0.hasPrefix("in-") }
    unlink(folder.file(names[1]))
    let missing = failure(folder.file(names[0]), "out.gguf") { $0.scheme = "keep" }
    #expect(missing?.id == "gg.split.missing" && missing?.file == folder.file(names[1]))
  }

  @Test func noPartOfASplitOutputReplacesAFileUnasked() throws {
    let whole = try source("q8_0")
    let size = 3_000_000
    let count = try plan(whole, "out.gguf") { $0.shardSize = size }.layout.files.count
    let second = folder.file("out-00002-of-0000\(count).gguf")
    writeFile(second, [1, 2, 3])
    #expect { try convert(whole, "out.gguf") { $0.shardSize = size } } throws: { ($0 as? Failure)?.id == "output.exists" }
    #expect(try files().filter { $0.hasPrefix("out") }.count == 1 && readFile(second) == [1, 2, 3])
    try convert(whole, "out.gguf") {
      $0.shardSize = size
      $0.force = true
    }
    #expect(try open(second).tensors.count == open(whole).tensors.count)
    #expect(try files().allSatisfy { !$0.hasPrefix(".") })
  }

  @Test func aPartThatAppearsWhileTheOutputIsWrittenTakesAllNamesBack() throws {
    let whole = try source("q8_0")
    let plan = try plan(whole, "out.gguf") { $0.shardSize = 3_000_000 }
    let first = folder.file("out-00001-of-0000\(plan.layout.files.count).gguf")
    var read = 0
    let result = Result {
      try Converter(registry).run(plan, progress: SilentProgress()) { _, path in
        read = try open(path).tensors.count
        writeFile(first, [7])
        return [:]
      }
    }
    #expect(throws: Failure.self) { try result.get() }
    #expect(read == plan.tensors.count)
    #expect(try files().filter { $0.hasPrefix("out") || $0.hasPrefix(".") } == [Files.lastComponent(first)])
  }

  // MARK: - Metadata

  @Test func anEditTouchesNothingElse() throws {
    let quantized = try source("q4_k_m")
    let edited = try convert(quantized, "edited.gguf") {
      $0.metadataValues = ["general.name=str:A new name", "tokenizer.ggml.eos_token_id=u32:7", "general.tags=str[]:[\"a\", \"b\"]"]
      $0.droppedMetadata = ["general.size_label"]
    }
    let metadata = try open(edited).metadata
    #expect(metadata["general.name"] == .string("A new name") && metadata["general.tags"] == .strings(["a", "b"]))
    #expect(
      try changes(quantized, edited) == ["general.name", "tokenizer.ggml.eos_token_id", "general.tags", "general.size_label"])
    let (a, b) = (try open(quantized), try open(edited))
    #expect(zip(a.tensors, b.tensors).allSatisfy { $0.name == $1.name && $0.hasSameContent(as: $1) })
  }

  @Test func anEditOfAFileInSixteenBitsDoesNotQuantizeIt() throws {
    let plain = try source("f16")
    let edited = try convert(plain, "edited.gguf") { $0.droppedMetadata = ["general.name"] }
    #expect(try types(edited) == types(plain) && changes(plain, edited) == ["general.name"])
  }

  @Test(arguments: [
    "general.alignment=u32:64", "split.count=u16:2", "llama.block_count=u32:9999", "llama.block_count=str:8",
    "tokenizer.ggml.eos_token_id=u32:70000", "general.architecture=u32:1", "a\u{7}=str:b", "general.architecture", "no.such.key",
  ])
  func editsThatWouldSpoilTheFileAreRefused(_ edit: String) throws {
    let refused = failure(try source("f16"), "x.gguf") {
      if edit.contains("=") { $0.metadataValues = [edit] } else { $0.droppedMetadata = [edit] }
    }
    #expect(refused?.id == "metadata.refused" && refused?.kind == .usage)
  }

  @Test(arguments: [
    ("x", "metadata.form"), ("=str:x", "metadata.form"), ("a.b=text:x", "metadata.type"), ("a.b=u8:256", "metadata.value"),
    ("a.b=f32:x", "metadata.value"), ("a.b=bool:yes", "metadata.value"), ("a.b=i32[]:[1, 2.5]", "metadata.value"),
    ("a.b=str[]:x", "metadata.value"),
  ])
  func valuesMustBeOfTheirType(_ text: String, _ id: String) throws {
    #expect(throws: Failure.self) { try MetadataEdit(text) }
    #expect(failure(try source("f16"), "x.gguf") { $0.metadataValues = [text] }?.id == id)
  }

  @Test func everyTypeOfMetadataCanBeWritten() throws {
    let expected: [(String, MetadataValue)] = [
      ("u8:255", .u8(255)), ("i8:-128", .i8(-128)), ("u16:9", .u16(9)), ("i16:-9", .i16(-9)), ("u32:1", .u32(1)), ("i32:-1", .i32(-1)),
      ("u64:18446744073709551615", .u64(.max)), ("i64:-5", .i64(-5)), ("f32:1e-5", .f32(1e-5)), ("f64:0.1", .f64(0.1)),
      ("bool:true", .bool(true)), ("str:a=b:c", .string("a=b:c")), ("u32[]:[1,2]", .u32s([1, 2])), ("f32[]:[0.5]", .f32s([0.5])),
      ("bool[]:[true,false]", .bools([true, false])), ("str:", .string("")),
    ]
    for (text, value) in expected { #expect(try MetadataEdit("k=" + text) == MetadataEdit(key: "k", value: value)) }
  }

  // MARK: - Bad input

  @Test func aWeightThatIsNotFiniteIsFoundByRowAndColumn() throws {
    let plain = try source("f32")
    let tensor = try #require(try open(plain)["blk.2.ffn_up.weight"])
    try change(plain, tensor, at: 5 * tensor.rowLength + 17, to: .nan, as: "nan.gguf")
    for scheme in ["q4_k_m", "keep"] {
      #expect { try convert(folder.file("nan.gguf"), "x.gguf") { $0.scheme = scheme } } throws: {
        let failure = $0 as? Failure
        return failure?.id == "data.nonfinite" && failure?.tensor == tensor.name
          && failure?.message.contains("row 5, column 17 is nan") == true
      }
    }
  }

  @Test func valuesBeyondTheScalesOfTheTypeAreRefused() throws {
    let plain = try source("f32")
    let tensor = try #require(try open(plain)["blk.2.ffn_up.weight"])
    try change(plain, tensor, at: 0, to: 1e9, as: "large.gguf")
    for scheme in ["q4_0", "q8_0", "q6_k"] {
      #expect { try convert(folder.file("large.gguf"), "x.gguf") { $0.scheme = scheme } } throws: {
        ($0 as? Failure)?.id == "data.overflow" && ($0 as? Failure)?.tensor == tensor.name
      }
    }
  }
}
