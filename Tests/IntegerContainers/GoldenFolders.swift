import AWQContainer
import CompressedTensors
import GPTQContainer
import HuggingFace
import ModelFamilies
import QuantCore
import TestSupport
import Testing

/// Checkpoints with integer weights, written by the tools that own the packings, and the values that these tools read from them.
@Suite struct GoldenFolders {
  static let names = [
    "autoawq-w4", "autoround-w4", "gptqmodel-gptq2", "gptqmodel-gptq3", "gptqmodel-gptq4", "gptqmodel-gptq4-asym",
    "gptqmodel-gptq4-desc", "gptqmodel-gptq4-g32", "gptqmodel-gptq4-v2", "gptqmodel-gptq8", "ct-gptq-w3a16", "ct-gptq-w4a16",
    "ct-gptq-w8a16", "ct-rtn-w4a16-asym", "ct-awq-w4a16-asym", "ct-sq-gptq-w8a8", "ct-sq-w8a8-static",
  ]

  static func open(_ path: String) throws -> Checkpoint {
    try HuggingFaceFormat.open(path, options: OpenOptions(unpackers: IntegerContainers.packings))
  }

  private func document(_ path: String) throws -> JSON { try JSON.parse(ByteView(readFile(path)), .strict) }

  @Test(arguments: names) func valuesAreThoseOfTheOwningLibrary(_ name: String) throws { try checkValues(name, in: Golden.cut(name)) }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: names)
  func valuesOfWholeFoldersAreThoseOfTheOwningLibrary(_ name: String) throws { try checkValues(name, in: Golden.whole(name)) }

  private func checkValues(_ name: String, in path: String) throws {
    let checkpoint = try GoldenFolders.open(path)
    // AutoRound computes the expected values in F16.
    let tolerance: Float = name.hasPrefix("autoround") ? 0x1p-10 : 0
    let checks = try #require(try document(path + "/dequantized-check.json")["checks"]?.arrayValue)
    #expect(!checks.isEmpty)
    for check in checks {
      let tensor = try #require(check["tensor"]?.stringValue.flatMap { checkpoint[$0] })
      let row = try #require(check["row"]?.intValue)
      let columns = try #require(check["columns"]?.arrayValue).compactMap(\.intValue)
      let expected = try #require(check["values"]?.arrayValue).compactMap { $0.doubleValue.map { Float($0) } }
      #expect(tensor.shape == (check["shape"]?.arrayValue ?? []).compactMap { $0.intValue })
      let found = IntegerContainers.rows(of: tensor, row..<row + 1)[columns[0]..<columns[1]]
      #expect(found.count == expected.count)
      for (a, b) in zip(found, expected) { #expect(abs(a - b) <= tolerance * abs(b), "\(tensor.name): \(a) and \(b)") }
    }
  }

  @Test(arguments: names) func codesMeanTheSameWeightsAsRows(_ name: String) throws {
    let checkpoint = try GoldenFolders.open(Golden.cut(name))
    let quantized = checkpoint.tensors.filter { $0.storage is any QuantizedStorage }
    #expect(quantized.isEmpty == (name == "gptqmodel-gptq4-desc"))
    for tensor in quantized.prefix(7) {
      let storage = try #require(tensor.storage as? any QuantizedStorage)
      let rows = 0..<min(tensor.rowCount, 40)
      let panel = storage.panel(rows: rows, rowLength: tensor.rowLength)
      #expect(storage.scheme.values(panel) == IntegerContainers.rows(of: tensor, rows))
    }
  }

  @Test(arguments: names.filter { Golden.cutModels.contains($0) }) func logitsAreThoseOfTheOwningLibrary(_ name: String) throws {
    try checkLogits(name, in: Golden.cut(name))
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: names.filter { !Golden.cutModels.contains($0) })
  func logitsOfWholeFoldersAreThoseOfTheOwningLibrary(_ name: String) throws { try checkLogits(name, in: Golden.whole(name)) }

  private func checkLogits(_ name: String, in path: String) throws {
    let checkpoint = try GoldenFolders.open(path)
    let configuration = try #require(checkpoint.configuration)
    let check = try document(path + "/forward-check.json")
    let model = try Llama.describe(configuration, tensors: checkpoint)
    var engine = try Engine(checkpoint, model: model, parallel: Parallel(threads: 2))
    let isRounded = check["activations_quantized"]?.boolValue == true
    #expect(isRounded == !checkpoint.activations.isEmpty)
    if isRounded {
      let registry = try Registry([IntegerSchemes.self])
      engine.simulation = try SimulationBuilder(engine, checkpoint: checkpoint, registry: registry).simulation(
        SimulationRequest("file", registry: registry)
      ) { [] }
    }
    let tokens = try #require(check["tokens"]?.arrayValue).compactMap(\.intValue)
    var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
    for index in 0..<model.blocks.count {
      engine.runBlock(engine.loadBlock(index), hidden: &hidden, sequenceLength: tokens.count)
    }
    let logits = engine.logits(hidden)
    for entry in try #require(check["checks"]?.arrayValue) {
      let position = try #require(entry["position"]?.intValue)
      let expected = try #require(entry["logits_0_to_16"]?.arrayValue).compactMap { $0.doubleValue.map { Float($0) } }
      let largest = expected.indices.reduce(Float(0)) { max($0, abs(logits[position, $1] - expected[$1])) }
      // From the second position on, a different order of summation moves some inputs to the neighbouring code.
      let tolerance: Float = isRounded && position > 0 ? 0.3 : IntegerContainers.tolerances[name] ?? 5e-5
      #expect(largest < tolerance, "position \(position): \(largest)")
    }
  }
}

enum IntegerContainers {
  static let packings: [any Unpacker] = [
    PackQuantized(), IntQuantized(), FloatQuantized(), GPTQVersion1(), GPTQVersion2(), AWQGEMM(),
  ]

  /// Tolerances where the owning library did not compute in F32.
  static let tolerances: [String: Float] = ["autoround-w4": 2e-2]

  static func rows(of tensor: CheckpointTensor, _ rows: Range<Int>) -> [Float] {
    var values = [Float](repeating: 0, count: rows.count * tensor.rowLength)
    values.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress { tensor.decode(rows: rows, into: base) }
    }
    return values
  }
}
