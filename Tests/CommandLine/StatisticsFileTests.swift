import QConvertKit
import QuantCore
import TestSupport
import Testing

/// Statistics that are collected once, and conversions that use statistics or importance.
@Suite struct StatisticsFileTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let model = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func request(_ output: String) -> ConversionRequest {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.calibration.samples = 4
    request.calibration.context = 64
    request.threads = 2
    return request
  }

  @discardableResult
  private func calibrate(_ output: String, _ methods: [String] = []) throws -> StatisticsRun.Report {
    var request = request(output)
    request.methods = methods.map { (id: $0, options: [:]) }
    var warnings: [String] = []
    return try StatisticsRun(request, registry: registry, warnings: &warnings).run(progress: SilentProgress())
  }

  private func convert(_ output: String, _ method: String, _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> [UInt8] {
    var request = request(output)
    request.scheme = "q4_0"
    request.methods = [(id: method, options: [:])]
    request.propagation = .original
    change(&request)
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return readFile(folder.file(output))
  }

  private func failure(_ body: () throws -> Void) -> Failure? {
    do { try body() } catch { return error as? Failure }
    return nil
  }

  @Test(arguments: ["awq", "gptq"]) func storedStatisticsGiveTheBytesOfADirectRun(method: String) throws {
    try calibrate("model.stats")
    let direct = try convert("direct.gguf", method)
    #expect(try convert("stored.gguf", method) { $0.statisticsPath = folder.file("model.stats") } == direct)
  }

  @Test func statisticsOfAnotherModelOrWithoutWhatIsNeededAreRefused() throws {
    try calibrate("importance.gguf")
    try calibrate("none.stats", ["rtn"])
    func refused(_ name: String, _ change: (inout ConversionRequest) -> Void = { _ in }) -> String? {
      failure {
        _ = try convert("out.gguf", "awq") {
          $0.statisticsPath = folder.file(name)
          change(&$0)
        }
      }?.id
    }
    #expect(refused("none.stats") == "stats.missing")
    let unstored = [(id: "aptq", options: ["wide": "q6_k", "narrow": "q3_k"])]
    #expect(refused("none.stats") { ($0.methods, $0.scheme) = (unstored, nil) } == "stats.not-stored")
    #expect(failure { try calibrate("a.stats", ["aptq"]) }?.id == "stats.not-stored")
    #expect(refused("none.stats") { $0.propagation = .quantized } == "stats.stream")
    #expect(refused("none.stats") { $0.methods = [] } == "stats.unused")
    #expect(refused("importance.gguf") == "input.wrong-kind")
    _ = try convert("weights.safetensors", "rtn") { $0.scheme = "bf16" }
    #expect(refused("weights.safetensors") == "stats.kind")
    _ = try convert("other.gguf", "rtn") { $0.scheme = "f16" }
    #expect(refused("none.stats") { $0.input = folder.file("other.gguf") } == "stats.other-model")
  }

  @Test func damagedStatisticsAreRefused() throws {
    try calibrate("model.stats", ["awq"])
    let whole = readFile(folder.file("model.stats"))
    func refused(_ bytes: [UInt8]) -> String? {
      writeFile(folder.file("bad.stats"), bytes)
      return failure { _ = try convert("out.gguf", "awq") { $0.statisticsPath = folder.file("bad.stats") } }?.id
    }
    for count in [0, 7, 100, whole.count / 2, whole.count - 1] { #expect(refused(Array(whole[..<count])) != nil) }
    var notFinite = whole
    notFinite.replaceSubrange(whole.count - 4..<whole.count, with: [0, 0, 0xc0, 0x7f])
    #expect(refused(notFinite) == "stats.value")
    let key = Array("\"qconvert.statistics\":\"3\"".utf8)
    let place = try #require(whole.indices.first { whole[$0...].starts(with: key) })
    var newer = whole
    newer[place + key.count - 2] = UInt8(ascii: "9")
    #expect(refused(newer) == "stats.version")
  }

  @Test func importanceFollowsMatricesIntoEveryContainer() throws {
    try calibrate("importance.gguf")
    let importance = folder.file("importance.gguf")
    let plain = try convert("plain.gguf", "rtn")
    let weighed = try convert("weighed.gguf", "rtn") { $0.importancePath = importance }
    #expect(plain != weighed)
    // The same rounding, for all namings of the source's tensors.
    _ = try convert("bf16.gguf", "rtn") { $0.scheme = "bf16" }
    var fromGGUF = request("from-gguf.gguf")
    fromGGUF.input = folder.file("bf16.gguf")
    fromGGUF.scheme = "q4_0"
    fromGGUF.importancePath = importance
    let plan = try Planner(registry).plan(fromGGUF)
    #expect(plan.tensors.count { $0.importance != nil } == 8 * 7)
    #expect(!plan.warnings.contains { $0.contains("importance") })
    var toFolder = request("folder")
    toFolder.scheme = "int4-g128"
    toFolder.importancePath = importance
    #expect(try Planner(registry).plan(toFolder).tensors.count { $0.importance != nil } == 8 * 7)
  }

  @Test func typesThatNeedImportanceAreRefusedWithout() throws {
    func refused(_ scheme: String, importance: String? = nil, keeping rules: [String] = []) -> Failure? {
      failure {
        var wanted = request("grids.gguf")
        wanted.scheme = scheme
        wanted.isPure = true
        wanted.importancePath = importance
        wanted.tensorRules = rules
        _ = try Planner(registry).plan(wanted)
      }
    }
    for scheme in ["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_m", "iq3_xxs", "iq3_s"] {
      #expect(refused(scheme)?.id == (scheme == "iq3_s" ? nil : "importance.required"), "\(scheme)")
    }
    // The input of the embedding is not observed.
    let path = folder.file("grids.imatrix.gguf")
    let entries = (0..<8).flatMap { block in
      ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map { name in
        let columns = name == "ffn_down" ? 768 : 256
        return ("blk.\(block).\(name).weight", Importance.Entry(meanSquares: [Float](repeating: 0, count: columns), tokens: [8]))
      }
    }
    let importance = Importance(entries: Dictionary(uniqueKeysWithValues: entries))
    writeFile(path, try #require(registry.importanceFormats.first).bytes(importance))
    #expect(refused("iq2_xs", importance: path)?.tensor == "token_embd.weight")
    #expect(refused("iq2_xs", importance: path, keeping: ["token_embd.weight=q8_0", "output.weight=q8_0"]) == nil)
    // Some types need no importance there.
    for scheme in ["iq1_m", "iq2_m", "iq3_xxs"] { #expect(refused(scheme, importance: path) == nil) }
  }

  /// `q2_k` needs no importance, except in layers under the preset `q2_k_s`, even if a rule chose it there.
  @Test func aPresetAsksForImportanceInLayers() {
    func refused(_ change: (inout ConversionRequest) -> Void) -> String? {
      failure {
        var wanted = request("mix.gguf")
        change(&wanted)
        _ = try Planner(registry).plan(wanted)
      }?.tensor
    }
    #expect(refused { $0.scheme = "q2_k" } == nil)
    #expect(refused { $0.scheme = "q2_k_s" }?.hasPrefix("blk.0.") == true)
    #expect(refused { ($0.scheme, $0.isPure) = ("q2_k_s", true) }?.hasPrefix("blk.0.") == true)
    #expect(refused { ($0.scheme, $0.tensorRules) = ("q2_k_s", ["blk.*=q4_0"]) } == nil)
    #expect(refused { ($0.scheme, $0.tensorTypes) = ("q2_k_s", [".*=q4_0"]) } == nil)
    let others = ["blk.*=q4_0", "blk.3.attn_q.weight=q2_k"]
    #expect(refused { ($0.scheme, $0.tensorRules) = ("q2_k_s", others) } == "blk.3.attn_q.weight")
    #expect(refused { ($0.scheme, $0.tensorRules) = ("q4_0", others) } == nil)
    #expect(refused { ($0.scheme, $0.tensorRules, $0.embeddingScheme) = ("q2_k_s", ["blk.*=q4_0"], "q2_k") } == nil)
  }

  @Test func entriesAreChosenByPartsOfTheirNames() throws {
    try calibrate("importance.gguf")
    func plan(_ change: (inout ConversionRequest) -> Void) throws -> ConversionPlan {
      var wanted = request("chosen.gguf")
      wanted.importancePath = folder.file("importance.gguf")
      change(&wanted)
      return try Planner(registry).plan(wanted)
    }
    func weighed(_ change: (inout ConversionRequest) -> Void) throws -> Set<String> {
      let plan = try plan(change)
      #expect(!plan.warnings.contains { $0.contains("importance") })
      return Set(plan.tensors.filter { $0.importance != nil }.map(\.name))
    }
    func refused(_ change: (inout ConversionRequest) -> Void) -> String? { failure { _ = try plan(change) }?.id }
    let all = try weighed { _ in }
    #expect(try weighed { $0.includedImportance = ["attn_k", "ffn_up"] } == all.filter { $0.contains("attn_k") || $0.contains("ffn_up") })
    #expect(try weighed { $0.excludedImportance = ["attn", "ffn_up"] } == all.filter { !$0.contains("attn") && !$0.contains("ffn_up") })
    // If no entry is left, a mix chooses as without importance.
    func types(_ change: (inout ConversionRequest) -> Void) throws -> [String] { try plan(change).tensors.map { $0.scheme.name } }
    let without = try types { ($0.scheme, $0.importancePath) = ("q4_0", nil) }
    #expect(try types { ($0.scheme, $0.excludedImportance) = ("q4_0", ["weight"]) } == without)
    #expect(try types { $0.scheme = "q4_0" } != without)
    #expect(refused { ($0.includedImportance, $0.excludedImportance) = (["attn"], ["ffn"]) } == "importance.selection")
    #expect(refused { $0.excludedImportance = ["atn"] } == "importance.selection")
    #expect(refused { ($0.includedImportance, $0.importancePath) = (["attn"], nil) } == "importance.selection")
    #expect(refused { ($0.scheme, $0.excludedImportance) = ("iq2_xs", ["blk.4.attn_k."]) } == "importance.required")
  }

  @Test func importanceOfAnotherModelIsRefused() throws {
    func refused(_ name: String, _ columns: Int) throws -> String? {
      let entry = Importance.Entry(meanSquares: [Float](repeating: 1, count: columns), tokens: [8])
      let importance = Importance(entries: [name: entry], windows: 1, context: 8)
      let format = try #require(registry.importanceFormats.first)
      writeFile(folder.file("im.gguf"), try format.bytes(importance))
      return failure { _ = try convert("out.gguf", "rtn") { $0.importancePath = folder.file("im.gguf") } }?.id
    }
    #expect(try refused("blk.0.attn_q.weight", 64) == "importance.length")
    #expect(try refused("blk.99.attn_q.weight", 256) == "importance.other-model")
    writeFile(folder.file("text"), Array("no such thing".utf8))
    #expect(failure { _ = try convert("out.gguf", "rtn") { $0.importancePath = folder.file("text") } }?.id == "importance.kind")
  }
}
