import CompressedTensors
import Float8
import GPTOSS
import HuggingFace
import ModelFamilies
import ModelOpt
import QuantCore
import TestSupport
import Testing

/// Folders that the owners of the packings wrote, with the values that their own libraries read.
@Suite struct GoldenFolderTests {
  static let packings: [any FolderPacking & Unpacker] = [
    FloatQuantized(), NVFP4PackQuantized(), MXFP4PackQuantized(), MXFP8Quantized(), NativeFloat8(), BlockFloat8(), ModelOptFloat8(),
    ModelOptNVFP4(), GPTOSSExperts(),
  ]

  static func open(_ path: String) throws -> Checkpoint {
    try HuggingFaceFormat.open(path, options: OpenOptions(unpackers: packings))
  }

  private static func json(_ path: String) throws -> JSON { try JSON.parse(ByteView(readFile(path))) }

  /// All folders, each with the scheme of its quantized weights.
  static let folders = [
    ("ct-fp8-dynamic", "fp8-channel"), ("ct-fp8-static", "fp8-tensor"), ("ct-fp8-block", "fp8-block128"), ("ct-fp8-kv", "fp8-channel"),
    ("ct-nvfp4", "nvfp4"), ("ct-mxfp4a16", "mxfp4"), ("ct-mxfp8a16", "mxfp8"), ("modelopt-fp8", "fp8-tensor"),
    ("modelopt-nvfp4", "nvfp4"), ("gptoss-mxfp4", "mxfp4"),
  ]

  @Test(arguments: folders) func weightsAreThoseThatTheOwnersRead(_ folder: String, _ scheme: String) throws {
    try checkWeights(folder, in: Golden.cut(folder), scheme)
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: folders)
  func weightsOfWholeFoldersAreThoseThatTheOwnersRead(_ folder: String, _ scheme: String) throws {
    try checkWeights(folder, in: Golden.whole(folder), scheme)
  }

  private func checkWeights(_ folder: String, in path: String, _ scheme: String) throws {
    let checkpoint = try GoldenFolderTests.open(path)
    let checks = try #require(try GoldenFolderTests.json(path + "/dequantized-check.json")["checks"]?.arrayValue)
    #expect(checks.count >= 12)
    for check in checks {
      let name = try #require(check["tensor"]?.stringValue)
      let tensor = try #require(checkpoint[name])
      #expect(tensor.storage.schemeName == scheme)
      let columns = try #require(check["columns"]?.arrayValue).compactMap { $0.intValue }
      let inExpert = try #require(check["row"]?.intValue)
      // Experts are stacked: their rows follow each other.
      let row = inExpert + (check["expert"]?.intValue ?? 0) * tensor.shape[tensor.shape.count - 2]
      let expected = try #require(check["values"]?.arrayValue).compactMap { $0.doubleValue.map { Float($0) } }
      var decoded = [Float](repeating: 0, count: tensor.rowLength)
      tensor.decode(rows: row..<row + 1, into: &decoded)
      #expect(Array(decoded[columns[0]..<columns[1]]) == expected, "\(folder): \(name), row \(row)")
      // Codes and parameters mean the same values as the decoded row.
      let quantized = try #require(tensor.storage as? any QuantizedStorage)
      let first = row / (quantized.scheme.grid.tileRows ?? tensor.rowCount) * (quantized.scheme.grid.tileRows ?? tensor.rowCount)
      let values = quantized.scheme.values(quantized.panel(rows: first..<row + 1, rowLength: tensor.rowLength))
      #expect(Array(values.suffix(tensor.rowLength)) == decoded)
    }
  }

  /// With rounded activations, any difference in the order of sums can grow to one step of their type, at a token whose value is
  /// about halfway between two codes: then the tokens after it differ. `exact` says how many positions come before the first such
  /// token; later ones may differ by what one step costs.
  @Test(arguments: [("ct-fp8-static", 2), ("ct-fp8-block", 2), ("ct-fp8-kv", 2), ("ct-nvfp4", 1), ("ct-mxfp4a16", 4)])
  func logitsAreThoseOfTransformers(_ folder: String, exact: Int) throws {
    try checkLogits(folder, in: Golden.cut(folder), exact: exact)
  }

  @Test(
    .enabled(if: Golden.areWholeHere, "needs ../shared/golden"),
    arguments: [
      ("ct-fp8-dynamic", 2), ("ct-mxfp8a16", 4), ("modelopt-fp8", 4), ("modelopt-nvfp4", 4),
    ]) func logitsOfWholeFoldersAreThoseOfTransformers(_ folder: String, exact: Int) throws
  {
    try checkLogits(folder, in: Golden.whole(folder), exact: exact)
  }

  private func checkLogits(_ folder: String, in path: String, exact: Int) throws {
    let checkpoint = try GoldenFolderTests.open(path)
    let expected = try GoldenFolderTests.json(path + "/forward-check.json")
    let configuration = try #require(checkpoint.configuration)
    var engine = try Engine(checkpoint, model: try Llama.describe(configuration, tensors: checkpoint), parallel: Parallel(threads: 2))
    if expected["activations_quantized"]?.boolValue == true {
      let registry = try Registry([])
      engine.simulation = try SimulationBuilder(engine, checkpoint: checkpoint, registry: registry).simulation(
        SimulationRequest("file", registry: registry)
      ) { [] }
      // compressed-tensors unpacks these weights to bfloat16.
      for tensor in engine.model.tensors where folder == "ct-nvfp4" && tensor.shape.count == 2 {
        engine.simulation?.weights[tensor.id] = FloatScheme.bf16
      }
    }
    let tokens = try #require(expected["tokens"]?.arrayValue).compactMap { $0.intValue }
    var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
    for block in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: tokens.count)
    }
    let logits = engine.logits(hidden)
    let checks = try #require(expected["checks"]?.arrayValue)
    #expect(checks.count == 4)
    for (index, check) in checks.enumerated() {
      let position = try #require(check["position"]?.intValue)
      let wanted = try #require(check["logits_0_to_16"]?.arrayValue).compactMap { $0.doubleValue.map { Float($0) } }
      let difference = zip(wanted, (0..<16).map { logits[position, $0] }).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) }
      #expect(difference < (index < exact ? 2e-5 : 0.25), "\(folder), position \(position): \(difference)")
      let row = logits.values[position * logits.columns..<(position + 1) * logits.columns]
      let sum = row.withUnsafeBufferPointer { $0.baseAddress.map { VectorKernels.logSumExp($0, count: row.count) } ?? 0 }
      let wantedSum = try #require(check["logsumexp"]?.doubleValue)
      #expect(abs(sum - wantedSum) < (index < exact ? 2e-5 : 0.25))
      if index < exact { #expect(row.indices.max { row[$0] < row[$1] }.map { $0 - row.startIndex } == check["argmax"]?.intValue) }
    }
  }

  @Test func storedScalesOfInputsAreRead() throws {
    let own = try GoldenFolderTests.open(Golden.cut("ct-nvfp4")).activations
    #expect(own.inputs.count == 14 && own.inputs.values.allSatisfy { $0.scheme == .nvfp4 && ($0.scale ?? 0) > 1 })
    // ModelOpt stores the reciprocal of nearly the same value: it observed the same text, in batches.
    let modelOpt = try GoldenFolderTests.open(Golden.cut("modelopt-nvfp4")).activations
    #expect(modelOpt.inputs.count == 5)
    for (name, input) in modelOpt.inputs {
      let scale = try #require(input.scale), expected = try #require(own.inputs[name]?.scale)
      #expect(abs(scale / expected - 1) < 0.05, "\(name)")
    }
    let static8 = try GoldenFolderTests.open(Golden.cut("modelopt-fp8")).activations
    #expect(static8.inputs.count == 5 && static8.inputs.values.allSatisfy { $0.scheme == .fp8Static && ($0.scale ?? 0) > 0 })
  }

  /// Rounding gives the owners' codes and scales to the byte, including scales that several layers share.
  @Test(arguments: rounded) func roundingGivesTheOwnersCodes(_ folder: String, _ name: String) throws {
    try checkRounding(folder, in: Golden.cut(folder), name, layers: Golden.cutLayers(folder))
  }

  @Test(.enabled(if: Golden.areWholeHere, "needs ../shared/golden"), arguments: rounded)
  func roundingGivesTheOwnersCodesOfWholeFolders(_ folder: String, _ name: String) throws {
    try checkRounding(folder, in: Golden.whole(folder), name, layers: folder == "ct-fp8-dynamic" ? 56 : 14)
  }

  static let rounded = [
    ("ct-fp8-dynamic", "fp8-channel"), ("ct-fp8-static", "fp8-tensor"), ("ct-fp8-block", "fp8-block128"), ("ct-nvfp4", "nvfp4"),
    ("ct-mxfp4a16", "mxfp4"), ("ct-mxfp8a16", "mxfp8"), ("modelopt-nvfp4", "nvfp4"), ("modelopt-fp8", "fp8-tensor"),
  ]

  private func checkRounding(_ folder: String, in path: String, _ name: String, layers count: Int) throws {
    let golden = try GoldenFolderTests.open(path)
    let model = try GoldenFolderTests.open(SharedData.fixture("models/tiny-llama"))
    let layers = golden.tensors.filter { $0.storage is any QuantizedStorage }
    #expect(layers.count == count)
    let joint = [["q_proj", "k_proj", "v_proj"], ["gate_proj", "up_proj"]]
    for tensor in layers {
      let quantized = try #require(tensor.storage as? any QuantizedStorage)
      let words = tensor.name.split(separator: ".").map { String($0) }
      let sharing = joint.first { $0.contains(words[words.count - 2]) } ?? [words[words.count - 2]]
      let names =
        quantized.scheme.sharedScale?.sharing == .jointLayers
        ? sharing.map { (words.dropLast(2) + [$0, "weight"]).joined(separator: ".") } : [tensor.name]
      let largest = try names.map { try #require(model[$0]).matrix().values.map { abs($0) }.max() ?? 0 }.max() ?? 0
      let plain = try #require(
        MicroscalingSchemes.scheme(named: name, modelType: .bf16) ?? Float8Schemes.scheme(named: name, modelType: .bf16))
      let owners: [String: any Packing] = ["modelopt-fp8": ModelOptFloat8(), "modelopt-nvfp4": ModelOptNVFP4()]
      let rule = owners[folder]?.stored(plain) ?? plain
      #expect(rule.grid == quantized.scheme.grid)
      let matrix = try #require(model[tensor.name]).matrix()
      var panel = rule.emptyPanel(rows: matrix.rows, columns: matrix.columns)
      matrix.withPanel { rule.fittedToTensor(largestMagnitude: largest).encode($0, importance: nil, into: &panel) }
      #expect(panel == quantized.panel(rows: 0..<matrix.rows, rowLength: matrix.columns), "\(folder): \(tensor.name)")
    }
  }
}
