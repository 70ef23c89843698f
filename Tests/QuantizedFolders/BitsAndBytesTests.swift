import BitsAndBytes
import HuggingFace
import QuantCore
import TestSupport
import Testing

/// Layers that bitsandbytes wrote (Tests/Fixtures/bitsandbytes/make.py), one per name.
@Suite struct BitsAndBytesTests {
  static let configuration = JSON.object([.init("quant_method", .string("bitsandbytes"))])

  /// All tensors of the fixture by name.
  private func tensors() throws -> [CheckpointTensor] {
    try SafetensorsFormat.weights(SharedData.fixture("bitsandbytes/cases.safetensors")).tensors
  }

  /// The stored tensors of one layer.
  private func layer(_ name: String) throws -> [CheckpointTensor] {
    try tensors().filter { $0.name.hasPrefix(name + ".") && !$0.name.hasSuffix(".source") && !$0.name.hasSuffix(".expected") }
  }

  private func unpack(_ stored: [CheckpointTensor]) throws -> CheckpointTensor {
    let logical = try #require(try BitsAndBytes().unpack(configuration: BitsAndBytesTests.configuration, stored: stored))
    #expect(logical.count == 1)
    return logical[0]
  }

  @Test func everyLayerIsReadAsTheLibraryReadsIt() throws {
    let all = Dictionary(uniqueKeysWithValues: try tensors().map { ($0.name, $0) })
    let names = all.keys.filter { $0.hasSuffix(".expected") }.map { String($0.dropLast(".expected".count)) }
    #expect(names.count == 21)
    for name in names.sorted() {
      let weight = try unpack(layer(name)), expected = try #require(all[name + ".expected"])
      #expect(weight.name == name + ".weight" && weight.shape == expected.shape)
      let values = expected.matrix().values
      #expect(weight.matrix().values == values, "\(name)")
      // From the middle, and through the codes if they can be repacked.
      var rows = [Float](repeating: .nan, count: 2 * weight.rowLength)
      rows.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { weight.decode(rows: 1..<3, into: base) } }
      #expect(rows == Array(values[weight.rowLength..<3 * weight.rowLength]), "\(name)")
      if let storage = weight.storage.codes {
        #expect(!name.hasSuffix("ragged"))
        #expect(storage.scheme.values(storage.panel(rows: 1..<3, rowLength: weight.rowLength)) == rows, "\(name)")
      } else {
        #expect(name.hasSuffix("ragged"))
      }
    }
  }

  /// The largest magnitudes of blocks of 64.
  private func magnitudes(_ matrix: Matrix) -> [Float] {
    stride(from: 0, to: matrix.values.count, by: 64).map { matrix.values[$0..<$0 + 64].reduce(0) { max($0, abs($1)) } }
  }

  @Test func codesAndMagnitudesAreThoseOfTheLibrary() throws {
    let all = Dictionary(uniqueKeysWithValues: try tensors().map { ($0.name, $0) })
    var count = 0
    for name in all.keys.filter({ $0.hasSuffix(".source") }).map({ String($0.dropLast(".source".count)) }).sorted() {
      let words = name.split(separator: "-").map(String.init)
      guard !words.contains("ragged") else { continue }
      let isNested = words.contains("double")
      let type = try #require(words.compactMap { ElementType(rawValue: $0.uppercased()) }.first)
      let schemeName =
        (words[0] == "int8" ? "llm-int8" : words[1] == "64" ? words[0] : "\(words[0])-g\(words[1])") + (isNested ? "-double" : "")
      let plain = try #require(BitsAndBytesSchemes.scheme(named: schemeName, modelType: type))
      #expect(plain.name == schemeName && BitsAndBytes().holds(plain.grid) && (plain.nesting != nil) == isNested)
      let source = try #require(all[name + ".source"]).matrix()
      let nesting = plain.nesting?.fitted(tileMagnitudes: magnitudes(source)), scheme = nesting ?? plain
      var panel = scheme.emptyPanel(rows: source.rows, columns: source.columns)
      source.withPanel { scheme.encode($0, importance: nil, into: &panel) }
      nesting?.nest(&panel, firstTile: 0)
      let shape = [source.rows, source.columns]
      let parts = BitsAndBytes().parts(name: name + ".weight", shape: shape, scheme: scheme)
      for (part, bytes) in zip(parts, BitsAndBytes().pack(panel, rows: 0..<source.rows, of: shape, scheme: scheme)) {
        let owed = try #require(all[part.name], "\(part.name)")
        #expect(part.byteCount == bytes.count)
        // The library sums the mean of nested magnitudes in 32 bits, in an order that depends on the processor.
        if isNested, part.name.hasSuffix("nested_absmax") {
          let numbers = bytes.withUnsafeBytes { $0.bindMemory(to: Float.self).map { $0 } }
          #expect(zip(numbers, owed.matrix().values).allSatisfy { abs($0 - $1) <= 1e-6 * $1 })
        } else if isNested, part.name.contains("quant_state") {
          let states = try [bytes, owed.storage.verbatim?.bytes ?? []].map { try JSON.parse(ByteView($0), .config) }
          let offsets = states.map { $0["nested_offset"]?.doubleValue ?? 0 }
          #expect(abs(offsets[0] - offsets[1]) <= 2e-7 * offsets[1])
          #expect(states[0].objectValue?.dropLast() == states[1].objectValue?.dropLast())
        } else {
          #expect(part.shape == owed.shape && bytes == owed.storage.verbatim?.bytes, "\(part.name)")
        }
      }
      let expected = all[name + ".expected"]?.matrix().values ?? []
      #expect(zip(scheme.values(panel), expected).allSatisfy { isNested ? abs($0 - $1) <= 1e-6 : $0 == $1 }, "\(name)")
      count += 1
    }
    #expect(count == 17)
  }

  @Test func partsOfSeveralPanelsFollowEachOther() throws {
    let source = try #require(try tensors().first { $0.name == "nf4-64-bf16.source" }).matrix()
    let scheme = try #require(BitsAndBytesSchemes.scheme(named: "nf4", modelType: .bf16))
    let shape = [source.rows, source.columns]
    func packed(_ rows: Range<Int>) -> [[UInt8]] {
      var panel = scheme.emptyPanel(rows: rows.count, columns: source.columns)
      source.withPanel(rows: rows) { scheme.encode($0, importance: nil, into: &panel) }
      return BitsAndBytes().pack(panel, rows: rows, of: shape, scheme: scheme)
    }
    #expect(zip(packed(0..<1), packed(1..<source.rows)).map { $0 + $1 } == packed(0..<source.rows))
  }

  @Test func rowsOfSignedBytesAreRepacked() throws {
    let channel = try #require(IntegerScheme(bits: 8, groupLength: nil, isSymmetric: true, modelType: .bf16))
    let scheme = try #require(BitsAndBytesSchemes.scheme(named: "llm-int8", modelType: .bf16))
    let repacking = try #require(scheme.repacking(of: channel))
    #expect(repacking.fidelity == .parametersRounded)
    let weights = Matrix(rows: 2, columns: 5, values: [1, -2, 0.5, 0.25, 2, 0, 3, -4, 1, 0.125])
    var panel = channel.emptyPanel(rows: 2, columns: 5)
    weights.withPanel { channel.encode($0, importance: nil, into: &panel) }
    let moved = repacking.translate(panel)
    #expect(moved.codes == panel.codes)
    for (a, b) in zip(scheme.values(moved), channel.values(panel)) { #expect(abs(a - b) <= 3e-7 * abs(b)) }
    let groups = try #require(IntegerScheme(bits: 8, groupLength: 32, isSymmetric: true, modelType: .bf16))
    #expect(scheme.repacking(of: groups) == nil)
  }

  @Test func nestedMagnitudesFollowEachOtherThroughTheMatrix() throws {
    let source = try #require(try tensors().first { $0.name == "nf4-64-f32-double.source" }).matrix()
    let unfitted = try #require(BitsAndBytesSchemes.scheme(named: "nf4-double", modelType: .f32))
    let scheme = try #require(unfitted.nesting).fitted(tileMagnitudes: magnitudes(source))
    func packed(_ rows: Range<Int>) -> [[UInt8]] {
      var panel = scheme.emptyPanel(rows: rows.count, columns: source.columns)
      source.withPanel(rows: rows) { scheme.encode($0, importance: nil, into: &panel) }
      scheme.nest(&panel, firstTile: rows.lowerBound * panel.groupsPerRow)
      return BitsAndBytes().pack(panel, rows: rows, of: [source.rows, source.columns], scheme: scheme)
    }
    #expect(zip(packed(0..<13), packed(13..<source.rows)).map { $0 + $1 } == packed(0..<source.rows))
    let expected = try #require(try tensors().first { $0.name == "nf4-64-f32-double.expected" }).matrix().values
    #expect(source.rounded(to: unfitted, parallel: Parallel(threads: 2)).values == expected)
  }

  @Test func oneNameIsForOneScheme() {
    for name in ["nf4-g64", "nf4-g48", "fp4-g0", "nf4-g064", "nf4-", "nf4-g128-asym", "llm-int8-g32", "nf"] {
      #expect(BitsAndBytesSchemes.scheme(named: name, modelType: .bf16) == nil, "\(name)")
    }
    #expect(BitsAndBytesSchemes.scheme(named: "fp4-g4096", modelType: .bf16)?.fits(columns: 4096 * 3) == true)
    #expect(BitsAndBytesSchemes.scheme(named: "nf4", modelType: .bf16)?.fits(columns: 100) == false)
  }

  @Test func configurationIsOfOneKind() throws {
    let nf4 = try #require(BitsAndBytesSchemes.scheme(named: "nf4", modelType: .f16))
    let fp4 = try #require(BitsAndBytesSchemes.scheme(named: "fp4", modelType: .f16))
    let int8 = try #require(BitsAndBytesSchemes.scheme(named: "llm-int8", modelType: .bf16))
    let json = try BitsAndBytes().configuration(modules: [.init(name: "a", scheme: nf4)], unquantized: ["lm_head"])
    #expect(
      json?.text() == #"{"quant_method":"bitsandbytes","load_in_4bit":true,"load_in_8bit":false,"llm_int8_skip_modules":["lm_head"],"#
        + #""bnb_4bit_quant_type":"nf4","bnb_4bit_use_double_quant":false,"bnb_4bit_compute_dtype":"float16","#
        + #""bnb_4bit_quant_storage":"uint8"}"#)
    #expect(try BitsAndBytes().configuration(modules: [.init(name: "a", scheme: int8)], unquantized: [])?["load_in_8bit"] == .bool(true))
    #expect(try BitsAndBytes().configuration(modules: [.init(name: "a", scheme: int8)], unquantized: [])?.text().contains(":6.0}") == true)
    for other in [fp4, int8] {
      let failure = #expect(throws: Failure.self) {
        try BitsAndBytes().configuration(modules: [.init(name: "a", scheme: nf4), .init(name: "b", scheme: other)], unquantized: [])
      }
      #expect(failure?.id == "bnb.mixed" && failure?.tensor == "b")
    }
  }

  // MARK: - Damaged layers

  private func id(_ stored: [CheckpointTensor]) -> String? {
    do {
      _ = try BitsAndBytes().unpack(configuration: BitsAndBytesTests.configuration, stored: stored)
      return nil
    } catch {
      #expect((error as? Failure)?.tensor != nil)
      return (error as? Failure)?.id
    }
  }

  private func replacing(_ stored: [CheckpointTensor], _ ending: String, _ type: ElementType, _ shape: [Int], _ bytes: [UInt8])
    -> [CheckpointTensor]
  {
    stored.map {
      $0.name.hasSuffix(ending) ? CheckpointTensor(name: $0.name, shape: shape, storage: PlainStorage(type, ByteView(bytes))) : $0
    }
  }

  @Test func missingPartsAreReported() throws {
    for name in ["nf4-64-bf16", "fp4-64-f32-double", "int8-bf16"] {
      let whole = try layer(name)
      #expect(id(whole) == nil)
      for missing in whole where !missing.name.hasSuffix("weight_format") {
        let answer = id(whole.filter { $0.name != missing.name })
        #expect(["bnb.parts", "bnb.table", "bnb.absmax"].contains(answer), "\(missing.name): \(answer ?? "nothing")")
      }
    }
  }

  @Test func partsOfTheWrongShapeAreReported() throws {
    let whole = try layer("nf4-64-bf16"), nested = try layer("nf4-64-f32-double"), rows = try layer("int8-bf16")
    let bytes = [UInt8](repeating: 0, count: 64)
    #expect(id(replacing(whole, ".weight", .u8, [64, 1], bytes)) == "bnb.shape")
    #expect(id(replacing(whole, ".absmax", .f32, [8], Array(bytes.prefix(32)))) == "bnb.absmax")
    #expect(id(replacing(whole, ".absmax", .u8, [16], Array(bytes.prefix(16)))) == "bnb.absmax")
    #expect(id(replacing(whole, ".quant_map", .f32, [16], bytes)) == "bnb.table")
    #expect(id(replacing(nested, ".nested_absmax", .f32, [16], bytes)) == "bnb.absmax")
    #expect(id(replacing(nested, ".nested_quant_map", .f32, [16], bytes)) == "bnb.absmax")
    #expect(id(replacing(rows, ".SCB", .f32, [16], bytes)) == "bnb.absmax")
    #expect(id(replacing(rows, ".weight", .u8, [8, 8], bytes)) == "bnb.shape")
    #expect(id(replacing(rows, ".weight_format", .u8, [], [2])) == "bnb.order")
  }

  @Test(arguments: [
    "", "[]", "{", "{\"quant_type\": \"fp4\"}",
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [4]}"#,
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [-4, -256]}"#,
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [4611686018427387904, 4]}"#,
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": "x"}"#,
    #"{"quant_type": "nf4", "blocksize": 0, "dtype": "bfloat16", "shape": [4, 256]}"#,
    #"{"quant_type": "nf4", "blocksize": 1e999, "dtype": "bfloat16", "shape": [4, 256]}"#,
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "complex64", "shape": [4, 256]}"#,
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [4, 256], "nested_blocksize": -1}"#,
    #"{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [4, 256], "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 1e300}"#,
  ]) func absurdStatesAreRefused(_ text: String) throws {
    let layer = try layer("nf4-64-bf16")
    #expect(id(replacing(layer, "__nf4", .u8, [text.utf8.count], Array(text.utf8))) == "bnb.state")
  }

  @Test func anotherMethodsFolderIsLeftToOthers() throws {
    let layer = try layer("nf4-64-bf16")
    #expect(try BitsAndBytes().unpack(configuration: .object([.init("quant_method", .string("gptq"))]), stored: layer) == nil)
    #expect(try BitsAndBytes().unpack(configuration: .null, stored: layer) == nil)
  }
}
