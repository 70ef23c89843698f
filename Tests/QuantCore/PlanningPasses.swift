import QuantCore
import Testing

@testable import QuantConversion
@testable import QuantModel

/// A format with all tensors one after another in one file, for tests of planning: it is never read or written.
private enum Flat: ModelFormat {
  static let id = "flat"
  static let summary = "Tensors one after another."
  static let reference = "this test"
  static let fileExtensions = ["flat"]
  static let isFolder = false
  static let defaultScheme = "bf16"
  static let naming = Naming(rawValue: "plain")

  static func recognises(_ path: String) -> Bool { false }
  static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    throw Failure(.unsupported, "flat.read", "is only written", file: path)
  }
  static func role(ofTensor name: String) -> TensorRole? { name == "model.embed_tokens.weight" ? .tokenEmbedding : nil }
  static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String { type ?? stored }
  static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
    tensor.isBlockLinear(of: model)
  }
  static func fallback(for scheme: String, columns: Int) -> (scheme: String, note: String?)? {
    scheme == "int4-g64" && columns % 64 != 0 ? ("int4-g32", "rows of \(columns)") : nil
  }
  static func layout(_ request: OutputRequest) throws -> OutputLayout { OutputLayout(isFolder: false, files: [], placements: []) }
}

/// Holds groups of 4-bit integers, one byte for each, followed by their scales.
private struct Nibbles: Packing {
  static let id = "nibbles"
  static let summary = "A byte for each code."
  static let reference = "this test"
  static let formats = ["flat"]

  init() {}
  func holds(_ grid: Grid) -> Bool { grid.kind == .symmetricInteger && grid.codeBits == 4 }
  func obstacle(shape: [Int], scheme: any Scheme) -> String? { shape[0] % 2 == 0 ? nil : "an odd number of rows" }
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    [StoredPart(name: name + ".codes", shape: shape, type: .element(.u8), byteCount: shape.reduce(1, *))]
  }
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    [panel.codes.map { UInt8(truncatingIfNeeded: $0) }]
  }
}

/// A second packing for the same grids, which the client below prefers.
private struct Words: Packing {
  static let id = "words"
  static let summary = "As nibbles."
  static let reference = "this test"
  static let formats = ["flat"]

  init() {}
  func holds(_ grid: Grid) -> Bool { Nibbles().holds(grid) }
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] { Nibbles().parts(name: name, shape: shape, scheme: scheme) }
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    Nibbles().pack(panel, rows: rows, of: shape, scheme: scheme)
  }
}

/// Holds the same grids, but only with rounded inputs.
private struct RoundedNibbles: ActivationPacking {
  static let id = "rounded-nibbles"
  static let summary = "As nibbles."
  static let reference = "this test"
  static let formats: [String] = []

  init() {}
  func holds(_ grid: Grid) -> Bool { Nibbles().holds(grid) }
  func holds(_ grid: Grid, activations: ActivationScheme?) -> Bool { holds(grid) && activations == .int8Token }
  func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] { Nibbles().parts(name: name, shape: shape, scheme: scheme) }
  func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    Nibbles().pack(panel, rows: rows, of: shape, scheme: scheme)
  }
}

/// A packing that is only read.
private struct Runes: Unpacker {
  static let id = "runes"
  static let summary = "Codes that are only read."
  static let reference = "this test"

  init() {}
  func unpack(configuration: JSON, stored: [CheckpointTensor], metadata: KeyValues) throws -> [CheckpointTensor]? { nil }
}

/// A format for adapters, in which no model can be written.
private enum Thin: AdapterFormat {
  static let id = "thin"
  static let summary = "Adapters."
  static let reference = "this test"
  static let fileExtensions = ["thin"]
  static let isFolder = false
  static let naming = Naming(rawValue: "test")

  static func recognises(_ path: String) -> Bool { false }
  static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
    throw Failure(.unsupported, "thin.read", "is only written", file: path)
  }
  static func tensors(of adapter: LowRankAdapter) throws(Failure) -> [CheckpointTensor] { [] }
  static func layout(_ request: OutputRequest) throws -> OutputLayout { OutputLayout(isFolder: false, files: [], placements: []) }
}

/// A client that prefers words to nibbles, and does not load groups of 32.
private enum Reader: ClientProfile {
  static let id = "reader"
  static let summary = "Reads flat files."
  static let reference = "this test"
  static let version: ClientVersion = "1.0"
  static let formats = ["flat"]
  static let packings = ["words", "nibbles"]

  static func obstacle(_ layer: ClientLayer, version: ClientVersion) -> ClientObstacle? {
    layer.grid.groupLength == 32 ? ClientObstacle("has no kernel for groups of 32", remedy: "Give --scheme int4-g64.") : nil
  }
}

/// The passes of planning, each on inputs made by hand.
@Suite struct PlanningPassTests {
  private let registry: Registry

  init() throws {
    registry = try Registry([
      FloatSchemes.self, IntegerSchemes.self, PlainPacking.self, Nibbles.self, Words.self, RoundedNibbles.self, Runes.self, Flat.self,
      Thin.self, Reader.self,
    ])
  }

  private func request(_ change: (inout ConversionRequest) -> Void = { _ in }) -> ConversionRequest {
    var request = ConversionRequest(input: "in", output: "out.flat")
    change(&request)
    return request
  }

  private func tensor(_ name: String, _ shape: [Int], _ type: ElementType = .bf16) -> CheckpointTensor {
    let bytes = [UInt8](repeating: 0, count: shape.reduce(1, *) * type.bitCount / 8)
    return CheckpointTensor(name: name, shape: shape, storage: PlainStorage(type, ByteView(bytes)))
  }

  /// One block without a family: two linear layers, a norm, an embedding.
  private func checkpoint(format: String = "other") -> Checkpoint {
    Checkpoint(
      path: "in", format: format,
      tensors: [
        tensor("model.embed_tokens.weight", [32, 64]), tensor("layers.0.up.weight", [128, 64]), tensor("layers.0.down.weight", [64, 96]),
        tensor("layers.0.norm.weight", [64]),
      ], naming: Flat.naming, configuration: nil, files: [])
  }

  private func chosen(_ wanted: String, _ change: (inout ConversionRequest) -> Void = { _ in }) throws -> [ChosenDraft] {
    let source = checkpoint(), request = request(change)
    var warnings: [String] = []
    let drafts = try TensorMapping(source: source, reader: nil, model: nil, target: Flat.naming).drafts(warnings: &warnings)
    return try SchemeChoice(
      wanted: wanted, weighs: false, request: request, source: source, model: nil, target: Target(request, registry))(drafts)
  }

  // MARK: Target

  @Test func theEndingOfTheOutputNamesTheFormatAndTheClientOrdersItsPackings() throws {
    let plain = try Target(request(), registry)
    #expect(plain.format.id == "flat")
    #expect(
      plain.packings.map { type(of: $0).id } == ["plain", "nibbles", "words"]
        || plain.packings.map { type(of: $0).id } == ["nibbles", "words"])
    let asked = try Target(request { $0.client = "reader" }, registry)
    #expect(asked.packings.map { type(of: $0).id }.filter { $0 != "plain" } == ["words", "nibbles"])
    #expect(asked.client?.version == "1.0")
  }

  @Test func unknownFormatsPackingsAndClientsAreRefused() throws {
    func id(_ change: (inout ConversionRequest) -> Void) -> String? {
      (#expect(throws: Failure.self) { try Target(request(change), registry) })?.id
    }
    #expect(id { $0.output = "out.bin" } == "output.format")
    #expect(id { $0.output = "out.flat/" } == "output.format")
    #expect(id { $0.toFormat = "curved" } == "format.unknown")
    #expect(id { $0.packing = "bits" } == "packing.unknown")
    #expect(id { $0.packing = "runes" } == "packing.read-only")
    #expect(id { $0.packing = "rounded-nibbles" } == "packing.format")
    #expect(id { $0.client = "writer" } == "client.unknown")
    #expect(id { $0.shardSize = 1 << 20 } == "output.shard-size")
  }

  @Test func modelsAndAdaptersGoToTheFormatsThatHoldThem() throws {
    #expect(try Target.adapterFormat(of: request { $0.output = "out.thin" }, registry).id == "thin")
    let model = #expect(throws: Failure.self) { try Target(request { $0.output = "out.thin" }, registry) }
    #expect(model?.id == "output.content" && model?.remedy?.description == "Give 'to' with one that does: flat.")
    let adapter = #expect(throws: Failure.self) { try Target.adapterFormat(of: request(), registry) }
    #expect(adapter?.id == "output.content" && adapter?.remedy?.description == "Give 'to' with one that does: thin.")
  }

  @Test func thePackingsOfARegistryAreListedByWhatTheyDo() {
    #expect(registry.packings.map { type(of: $0).id } == ["plain", "nibbles", "words", "rounded-nibbles"])
    #expect(registry.unpackers.map { type(of: $0).id } == ["runes"])
    #expect(registry.plugins.filter { $0.axis == .packing }.map { $0.id }.contains("runes"))
  }

  @Test func onlyAPackingForActivationsHoldsWeightsOfLayersWithRoundedInputs() throws {
    let grid = try registry.scheme("int4-g64", modelType: .bf16).grid
    let plain: any Packing = Nibbles(), rounded: any Packing = RoundedNibbles()
    #expect(plain.holds(grid, inputs: nil) && !plain.holds(grid, inputs: .int8Token))
    #expect(!rounded.holds(grid, inputs: nil) && rounded.holds(grid, inputs: .int8Token) && !rounded.holds(grid, inputs: .fp8Token))
    #expect(!plain.holds(FloatScheme.bf16.grid, inputs: nil) && !rounded.holds(FloatScheme.bf16.grid, inputs: .int8Token))
  }

  // MARK: Mapping

  @Test func withoutAModelEveryTensorKeepsItsNameAndMatricesMayBeQuantized() throws {
    var warnings: [String] = []
    let drafts = try TensorMapping(source: checkpoint(), reader: nil, model: nil, target: Flat.naming).drafts(warnings: &warnings)
    #expect(drafts.map(\.name) == checkpoint().tensors.map(\.name))
    #expect(drafts.map(\.isQuantizable) == [true, true, true, false])
    #expect(warnings.isEmpty)
  }

  // MARK: Choice

  @Test func theMainSchemeAppliesToLinearLayersAndTheLastRuleWins() throws {
    let drafts = try chosen("int4-g32") { $0.tensorRules = ["layers.*=f16", "*down*=int8-channel"] }
    #expect(drafts.map { $0.scheme?.name } == ["bf16", "f16", "int8-channel", "f16"])
    #expect(try chosen("int4-g32").map { $0.scheme?.name } == ["bf16", "int4-g32", "int4-g32", "bf16"])
  }

  @Test func aSchemeThatRowsCannotHoldFallsBackAndSaysWhy() throws {
    let drafts = try chosen("int4-g64")
    #expect(drafts.map { $0.scheme?.name } == ["bf16", "int4-g64", "int4-g32", "bf16"])
    #expect(drafts.map(\.note) == [nil, nil, "rows of 96", nil])
    // A rule that names the tensor is followed.
    let insisted = try chosen("bf16") { $0.tensorRules = ["*down*=int4-g64"] }
    #expect(insisted[2].scheme?.name == "int4-g64")
    #expect(insisted[2].note == nil)
  }

  @Test func theOutputSchemeAppliesToATiedEmbedding() throws {
    let drafts = try chosen("bf16") { $0.outputScheme = "f32" }
    #expect(drafts[0].scheme?.name == "f32")
    let failure = #expect(throws: Failure.self) {
      try chosen("bf16") {
        $0.outputScheme = "f32"
        $0.embeddingScheme = "f16"
      }
    }
    #expect(failure?.id == "scheme.no-matrix")
  }

  @Test func aRuleThatMatchesNothingIsATypingError() throws {
    let failure = #expect(throws: Failure.self) { try chosen("bf16") { $0.tensorRules = ["layers.9.*=f16"] } }
    #expect(failure?.id == "rule.no-match")
    #expect(failure?.kind == .usage)
  }

  // MARK: Sealing

  private func sealed(
    _ wanted: String, format: String = "other", hasMethods: Bool = false, _ change: (inout ConversionRequest) -> Void = { _ in }
  ) throws -> [PlannedTensor] {
    let request = request(change)
    let target = try Target(request, registry)
    return try Sealing(request: request, source: checkpoint(format: format), model: nil, target: target, hasMethods: hasMethods)(
      try chosen(wanted, change))
  }

  @Test func equalFloatsAreCopiedAndOthersConverted() throws {
    #expect(try sealed("bf16").allSatisfy { $0.isCopy })
    #expect(try sealed("f32").map(\.isCopy) == [false, false, false, false])
    #expect(try sealed("f32").map { $0.parts[0].byteCount } == [32 * 64 * 4, 128 * 64 * 4, 64 * 96 * 4, 64 * 4])
  }

  @Test func aPackingOfTheFormatHoldsQuantizedLayers() throws {
    let tensors = try sealed("int4-g32")
    #expect(tensors.map { type(of: $0.packing).id } == ["plain", "nibbles", "nibbles", "plain"])
    #expect(tensors[1].parts.map(\.name) == ["layers.0.up.weight.codes"])
    #expect(try sealed("int4-g32") { $0.packing = "words" }.map { type(of: $0.packing).id } == ["plain", "words", "words", "plain"])
  }

  @Test func whatNoPackingHoldsIsRefusedWithTheReason() throws {
    let none = #expect(throws: Failure.self) { try sealed("int8-channel") }
    #expect(none?.id == "packing.none")
    #expect(none?.tensor == "layers.0.up.weight")
    let length = #expect(throws: Failure.self) { try sealed("bf16") { $0.tensorRules = ["*down*=int4-g64"] } }
    #expect(length?.id == "scheme.row-length")
    let client = #expect(throws: Failure.self) { try sealed("int4-g32") { $0.client = "reader" } }
    #expect(client?.id == "client.refuses")
    #expect(client?.remedy == "Give --scheme int4-g64.")
  }

  @Test func activationsNeedAPackingThatKnowsThem() throws {
    let failure = #expect(throws: Failure.self) { try sealed("int4-g32") { $0.activations = "int8-token" } }
    #expect(failure?.id == "packing.none")
    #expect(failure?.message.contains("int8-token") == true)
  }

  // MARK: Stored activations

  @Test func aCacheOfUnknownTypeIsRefusedAndNoneMeansNoCache() throws {
    #expect(try StoredActivations.cache(named: nil) == nil)
    #expect(try StoredActivations.cache(named: "none") == nil)
    #expect(try StoredActivations.cache(named: "fp8") == .fp8Static)
    #expect(try StoredActivations.cache(named: "int8-tensor") == .int8Static)
    let failure = #expect(throws: Failure.self) { try StoredActivations.cache(named: "int3") }
    #expect(failure?.id == "cache.unknown")
  }

  @Test func tensorsWithoutStoredScalesPassUnchanged() throws {
    let tensors = try sealed("int4-g32")
    let target = try Target(request(), registry)
    let stored = try StoredActivations(source: checkpoint(), target: target, calibrator: nil)(
      tensors, cache: nil, isCacheGiven: false, model: nil,
      described: { throw Failure(.internalError, "test.model", "the model is not needed") })
    #expect(stored.tensors.map(\.name) == tensors.map(\.name))
    #expect(stored.cache == nil)
  }

  // MARK: Methods

  @Test func aMethodOrOptionThatNobodyKnowsIsRefused() throws {
    let failure = #expect(throws: Failure.self) { try MethodChain(request { $0.methods = [(id: "idle", options: [:])] }, registry) }
    #expect(failure?.id == "plugin.unknown")
    let scheme = #expect(throws: Failure.self) { try MethodChain(request { $0.methods = [(id: "int4-g32", options: [:])] }, registry) }
    #expect(scheme?.id == "plugin.scheme")
    let stream = #expect(throws: Failure.self) { try MethodChain(request { $0.isTrueSequential = true }, registry) }
    #expect(stream?.id == "usage.true-sequential")
  }
}
