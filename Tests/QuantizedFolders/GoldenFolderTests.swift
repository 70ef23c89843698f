import BitsAndBytes
import HQQ
import HuggingFace
import ModelFamilies
import QuantCore
import TestSupport
import Testing
import TorchAO

/// Folders that the tools themselves wrote, compared with the values that their own libraries read.
@Suite struct GoldenFolderTests {
  struct Folder: Sendable {
    var name: String
    /// The largest relative difference of a weight.
    var weights: Float
    /// The scheme of the quantized tensors.
    var scheme: String
  }

  static let folders = [
    Folder(name: "bnb-nf4", weights: 0, scheme: "nf4"),
    Folder(name: "bnb-nf4-double", weights: 0, scheme: "nf4"),
    Folder(name: "bnb-int8", weights: 0, scheme: "llm-int8"),
    Folder(name: "hqq-w4", weights: 0, scheme: "hqq4-g64"),
    // The library gives weights in BF16.
    Folder(name: "torchao-int8", weights: 0x1p-8, scheme: "int8-channel"),
  ]

  static let options = OpenOptions(unpackers: [BitsAndBytes(), HQQ(), TorchAO()])

  @Test(arguments: folders) func weightsAreThoseOfTheToolsOwnLibrary(_ folder: Folder) throws {
    try checkWeights(folder, in: Golden.cut(folder.name), layers: Golden.cutLayers(folder.name))
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: folders)
  func weightsOfWholeFoldersAreThoseOfTheToolsOwnLibrary(_ folder: Folder) throws {
    try checkWeights(folder, in: Golden.whole(folder.name), layers: 14)
  }

  private func checkWeights(_ folder: Folder, in path: String, layers: Int) throws {
    let checkpoint = try HuggingFaceFormat.open(path, options: GoldenFolderTests.options)
    #expect(checkpoint.tensors.filter { $0.storage.schemeName == folder.scheme }.count == layers)
    let checks = try #require(try JSON.load(Files.join(path, "dequantized-check.json"))["checks"]?.arrayValue)
    #expect(checks.count == (layers == 14 ? 15 : 12))
    for check in checks {
      let tensor = try #require(checkpoint[check["tensor"]?.stringValue ?? ""])
      #expect(tensor.shape == check["shape"]?.arrayValue?.compactMap(\.intValue))
      let row = try #require(check["row"]?.intValue)
      let columns = try #require(check["columns"]?.arrayValue).compactMap(\.intValue)
      var values = [Float](repeating: .nan, count: tensor.rowLength)
      values.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { tensor.decode(rows: row..<row + 1, into: base) } }
      let expected = try #require(check["values"]?.arrayValue).compactMap(\.doubleValue).map { Float($0) }
      for (found, owed) in zip(values[columns[0]..<columns[1]], expected) {
        #expect(abs(found - owed) <= folder.weights * abs(owed), "\(tensor.name), row \(row): \(found) instead of \(owed)")
      }
      #expect(expected.count == columns[1] - columns[0])
    }
  }

  @Test(arguments: folders.filter { Golden.cutModels.contains($0.name) })
  func logitsAreThoseOfTheToolsOwnLibrary(_ folder: Folder) throws { try checkLogits(folder, in: Golden.cut(folder.name)) }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: folders.filter { !Golden.cutModels.contains($0.name) })
  func logitsOfWholeFoldersAreThoseOfTheToolsOwnLibrary(_ folder: Folder) throws { try checkLogits(folder, in: Golden.whole(folder.name)) }

  private func checkLogits(_ folder: Folder, in path: String) throws {
    let checkpoint = try HuggingFaceFormat.open(path, options: GoldenFolderTests.options)
    let forward = try JSON.load(Files.join(path, "forward-check.json"))
    let tokens = try #require(forward["tokens"]?.arrayValue).compactMap(\.intValue)
    let model = try Llama.describe(try #require(checkpoint.configuration), tensors: checkpoint)
    let engine = try Engine(checkpoint, model: model, parallel: Parallel(threads: 2))
    var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
    for index in 0..<model.blocks.count { engine.runBlock(engine.loadBlock(index), hidden: &hidden, sequenceLength: tokens.count) }
    let logits = engine.logits(hidden)
    let checks = try #require(forward["checks"]?.arrayValue)
    #expect(checks.count == 4)
    for check in checks {
      let position = try #require(check["position"]?.intValue)
      let row = Array(logits.values[position * logits.columns..<(position + 1) * logits.columns])
      let expected = try #require(check["logits_0_to_16"]?.arrayValue).compactMap(\.doubleValue).map { Float($0) }
      let largest = row.reduce(0) { max($0, abs($1)) }
      // torchao's product rounds its factors differently.
      let tolerance: Float = folder.name == "torchao-int8" ? 1e-2 : 1e-5
      for (found, owed) in zip(row, expected) { #expect(abs(found - owed) <= tolerance * largest, "position \(position)") }
      #expect(row.firstIndex(of: row.max() ?? 0) == check["argmax"]?.intValue)
    }
  }

  /// qconvert writes tiny-llama as bitsandbytes does: codes, magnitudes, tables and states, byte for byte.
  @Test(arguments: written) func bytesAreThoseOfTheLibrary(_ name: String, _ schemeName: String) throws {
    try checkBytes(in: Golden.cut(name), schemeName, layers: Golden.cutLayers(name))
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: written)
  func bytesOfWholeFoldersAreThoseOfTheLibrary(_ name: String, _ schemeName: String) throws {
    try checkBytes(in: Golden.whole(name), schemeName, layers: 14)
  }

  static let written = [("bnb-nf4", "nf4"), ("bnb-nf4-double", "nf4-double"), ("bnb-int8", "llm-int8")]

  private func checkBytes(in path: String, _ schemeName: String, layers: Int) throws {
    let golden = try SafetensorsFormat.weights(path + "/model.safetensors").tensors
    let source = try HuggingFaceFormat.open(SharedData.fixture("models/tiny-llama"), options: OpenOptions())
    let scheme = try #require(BitsAndBytesSchemes.scheme(named: schemeName, modelType: .bf16))
    let stored = Dictionary(uniqueKeysWithValues: golden.map { ($0.name, $0) })
    var matrices = 0
    for tensor in golden where tensor.name.hasSuffix("_proj.weight") {
      let weight = try #require(source[tensor.name])
      for (part, bytes) in zip(BitsAndBytes().parts(name: weight.name, shape: weight.shape, scheme: scheme), pack(weight.matrix(), scheme))
      {
        let owed = try #require(stored[part.name], "\(part.name)")
        let type = try #require(ElementType(rawValue: owed.storage.schemeName.uppercased()))
        // Spaces follow the state of nested magnitudes.
        let isState = part.name.contains("quant_state") && scheme.nesting != nil
        let bytes = isState ? Array(bytes.prefix(owed.storage.byteCount)) : bytes
        #expect((part.shape == owed.shape || isState) && part.type == .element(type))
        let differing = zip(bytes, owed.storage.verbatim?.bytes ?? []).reduce(0) { $0 + ($1.0 == $1.1 ? 0 : 1) }
        #expect(bytes.count == owed.storage.byteCount && differing == 0, "\(part.name): \(differing) bytes differ")
      }
      matrices += 1
    }
    #expect(matrices == layers)
  }

  private func pack(_ matrix: Matrix, _ scheme: any Scheme) -> [[UInt8]] {
    let magnitudes = stride(from: 0, to: matrix.values.count, by: 64).map { matrix.values[$0..<$0 + 64].reduce(0) { max($0, abs($1)) } }
    let nesting = scheme.nesting?.fitted(tileMagnitudes: magnitudes), scheme = nesting ?? scheme
    var panel = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
    matrix.withPanel { scheme.encode($0, importance: nil, into: &panel) }
    nesting?.nest(&panel, firstTile: 0)
    return BitsAndBytes().pack(panel, rows: 0..<matrix.rows, of: [matrix.rows, matrix.columns], scheme: scheme)
  }
}
