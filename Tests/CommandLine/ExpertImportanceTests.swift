import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Importance of experts, which formats store one by one or stacked: each weighs errors by the tokens that were routed to it.
@Suite struct ExpertImportanceTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model: String
  private let experts = 4

  init() throws {
    registry = try Registry(QConvert.builtIn)
    model = try RandomModel.copy("mixtral", into: folder)
    writeFile(folder.file("text.txt"), Array(RandomModel.text.utf8))
  }

  private func request(_ input: String, _ output: String, _ change: (inout ConversionRequest) -> Void) -> ConversionRequest {
    var request = ConversionRequest(input: input, output: folder.file(output))
    request.calibration.files = [folder.file("text.txt")]
    request.calibration.samples = 4
    request.calibration.context = 64
    request.threads = 2
    change(&request)
    return request
  }

  /// Rows of the down matrix have 48 columns, which is not a multiple of any GGUF block.
  private func convert(
    _ input: String, _ output: String, scheme: String = "q4_0", _ change: (inout ConversionRequest) -> Void = { _ in }
  ) throws -> Checkpoint {
    let request = request(input, output) {
      $0.scheme = scheme
      change(&$0)
    }
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return try Opening(registry).open(folder.file(output))
  }

  private func observed(_ output: String) throws -> Importance {
    var warnings: [String] = []
    _ = try StatisticsRun(request(model, output) { _ in }, registry: registry, warnings: &warnings).run(progress: SilentProgress())
    return try registry.readImportance(folder.file(output))
  }

  /// Each token is routed to two of the four experts, so that their sums of squares are twice the router's.
  @Test func expertsShareTheTokensOfTheirRouter() throws {
    let importance = try observed("im.gguf")
    for block in 0..<2 {
      let router = try #require(importance.entries["blk.\(block).ffn_gate_inp.weight"])
      let gates = try #require(importance.entries["blk.\(block).ffn_gate_exps.weight"])
      #expect(gates == importance.entries["blk.\(block).ffn_up_exps.weight"])
      #expect(router.tokens == [4 * 64] && gates.tokens.count == experts && gates.tokens.reduce(0, +) == 2 * 4 * 64)
      #expect(Set(gates.tokens).count > 1)
      for channel in 0..<32 {
        let sum = gates.tokens.enumerated().reduce(0.0) { $0 + Double($1.element) * Double(gates.meanSquares[$1.offset * 32 + channel]) }
        let expected = 2.0 * 4 * 64 * Double(router.meanSquares[channel])
        #expect(abs(sum - expected) < 1e-4 * expected)
      }
      #expect(importance.entries["blk.\(block).ffn_down_exps.weight"]?.meanSquares.count == experts * 48)
    }
  }

  @Test(arguments: ["im.gguf", "im.dat"]) func everyExpertIsRoundedByItsOwnImportance(_ file: String) throws {
    let importance = try observed(file), plain = try convert(model, "plain.gguf")
    let weighed = try convert(model, "weighed.gguf") { $0.importancePath = folder.file(file) }
    let name = "blk.1.ffn_gate_exps.weight"
    let values = try #require(importance.entries[name]).meanSquares
    let scheme = try registry.scheme("q4_0", modelType: .bf16)
    let source = try Opening(registry).open(model)
    let bytes = try (0..<experts).flatMap { expert in
      let matrix = try #require(source["model.layers.1.block_sparse_moe.experts.\(expert).w1.weight"]).matrix()
      var codes = scheme.emptyPanel(rows: matrix.rows, columns: matrix.columns)
      let own = Array(values[expert * 32..<(expert + 1) * 32])
      matrix.withPanel { scheme.encode($0, importance: own, into: &codes) }
      let packing = try #require(registry.packings.first { $0.holds(scheme.grid) })
      return packing.pack(codes, rows: 0..<matrix.rows, of: [matrix.rows, matrix.columns], scheme: scheme)[0]
    }
    let stored = try #require(weighed[name])
    #expect(stored.shape == [experts, 48, 32] && stored.storage.verbatim?.bytes == bytes)
    #expect(stored.storage.verbatim?.bytes != plain[name]?.storage.verbatim?.bytes)
  }

  /// A GGUF holds the experts of a layer in one tensor already.
  @Test func stackedExpertsOfAGGUFAreRoundedAlike() throws {
    _ = try observed("im.gguf")
    let fromFolder = try convert(model, "a.gguf") { $0.importancePath = folder.file("im.gguf") }
    _ = try convert(model, "bf16.gguf", scheme: "bf16")
    let fromGGUF = try convert(folder.file("bf16.gguf"), "b.gguf") { $0.importancePath = folder.file("im.gguf") }
    for tensor in fromFolder.tensors { #expect(fromGGUF[tensor.name]?.storage.verbatim?.bytes == tensor.storage.verbatim?.bytes) }
  }

  @Test func expertsOfAFolderHaveTheirOwnColumns() throws {
    let importance = try observed("im.gguf")
    let plan = try Planner(registry).plan(
      request(model, "folder") {
        $0.scheme = "int8-channel"
        $0.importancePath = folder.file("im.gguf")
      })
    for (layer, entry) in [("w1", "gate"), ("w2", "down"), ("w3", "up")] {
      let values = try #require(importance.entries["blk.0.ffn_\(entry)_exps.weight"]).meanSquares
      let width = values.count / experts
      for expert in 0..<experts {
        let tensor = plan.tensors.first { $0.name == "model.layers.0.block_sparse_moe.experts.\(expert).\(layer).weight" }
        #expect(tensor?.importance == Array(values[expert * width..<(expert + 1) * width]))
      }
    }
  }

  @Test func importanceOfAnotherNumberOfExpertsIsRefused() throws {
    let entry = Importance.Entry(meanSquares: [Float](repeating: 1, count: 3 * 32), tokens: [1, 1, 1])
    let format = try #require(registry.importanceFormats.first)
    writeFile(folder.file("three.gguf"), try format.bytes(Importance(entries: ["blk.0.ffn_gate_exps.weight": entry])))
    let failure = #expect(throws: Failure.self) { try convert(model, "out.gguf") { $0.importancePath = folder.file("three.gguf") } }
    #expect(failure?.id == "importance.length" && failure?.tensor == "blk.0.ffn_gate_exps.weight")
    #expect(!Files.exists(folder.file("out.gguf")))
  }

  /// A file for some of the model's matrices and some of another's: 2 of its 5 entries are strangers, and of 12 matrices, those of one
  /// block's gates and of its queries and keys have importance.
  @Test func entriesThatFitAreCounted() throws {
    func entry(_ matrices: Int) -> Importance.Entry {
      Importance.Entry(meanSquares: [Float](repeating: 1, count: matrices * 32), tokens: [Int](repeating: 7, count: matrices))
    }
    let entries = [
      "blk.0.ffn_gate_exps.weight": entry(experts), "blk.0.attn_q.weight": entry(1), "blk.0.attn_k.weight": entry(1),
      "blk.7.attn_q.weight": entry(1), "blk.0.attn_qkv.weight": entry(1),
    ]
    let format = try #require(registry.importanceFormats.first)
    writeFile(folder.file("some.gguf"), try format.bytes(Importance(entries: entries)))
    let plan = try Planner(registry).plan(
      request(model, "out.gguf") { ($0.scheme, $0.importancePath) = ("q4_0", folder.file("some.gguf")) })
    #expect(
      plan.warnings.contains { $0.hasPrefix("2 of 5 entries of the importance file fit no tensor of the model, such as 'blk.0.attn_qkv") })
    let matrices = plan.tensors.filter { $0.scheme.grid.kind != .float && $0.id?.block != nil }
    #expect(plan.warnings.contains { $0.hasPrefix("\(matrices.count - 3) of \(matrices.count) quantized matrices have no importance") })
    #expect(plan.tensors.count { $0.importance != nil } == 3)
  }

  /// Whether experts are stored in one tensor or one by one, each that no token reached counts once, and its columns count equally.
  @Test(arguments: ["out.gguf", "out"]) func expertsThatNoTokenReachedAreCounted(_ output: String) throws {
    var values = (0..<experts * 32).map { Float($0 % 5 + 1) }
    values.replaceSubrange(32..<64, with: [Float](repeating: 0, count: 32))
    values.replaceSubrange(96..<128, with: [Float](repeating: 0, count: 32))
    values[3] = 0
    let entry = Importance.Entry(meanSquares: values, tokens: [9, 0, 9, 0])
    let format = try #require(registry.importanceFormats.first)
    writeFile(folder.file("unseen.gguf"), try format.bytes(Importance(entries: ["blk.1.ffn_gate_exps.weight": entry])))
    let plan = try Planner(registry).plan(
      request(model, output) {
        $0.scheme = output == "out" ? "int8-channel" : "q4_0"
        $0.importancePath = folder.file("unseen.gguf")
      })
    #expect(
      plan.warnings.contains { $0.hasPrefix("2 quantized matrices have an importance of zero throughout, as where no token reached") })
    #expect(plan.warnings.contains { $0.hasPrefix("1 of ") && $0.contains("columns of importance zero") })
    let found = plan.tensors.filter { $0.importance != nil }.flatMap { $0.importance ?? [] }
    #expect(found.count == experts * 32)
    #expect(
      found[32..<64].allSatisfy { $0 == 1 } && found[96..<128].allSatisfy { $0 == 1 } && Array(found[0..<32]) == Array(values[0..<32]))
  }

  /// The fallback of a method uses the importance that the user gave.
  @Test func anExpertThatTooFewTokensReachedKeepsItsImportance() throws {
    _ = try observed("im.gguf")
    func made(_ output: String, _ methods: [String]) throws -> Checkpoint {
      try convert(model, output) {
        $0.importancePath = folder.file("im.gguf")
        $0.calibration.samples = 1
        $0.calibration.context = 8
        $0.methods = methods.map { (id: $0, options: [:]) }
      }
    }
    let plain = try made("plain.gguf", []), starved = try made("starved.gguf", ["gptq"])
    for name in ["blk.0.ffn_gate_exps.weight", "blk.1.ffn_up_exps.weight", "blk.1.attn_q.weight"] {
      #expect(starved[name]?.storage.verbatim?.bytes == plain[name]?.storage.verbatim?.bytes, "\(name)")
    }
  }
}
