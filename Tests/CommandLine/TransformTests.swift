import FamilyKit
import QConvertKit
import QuantCore
import TestSupport
import Testing

/// The transforms of methods leave the computed result as it was. Every registered method is tested on random models of every
/// registered family and on trained ones: a new plug-in is covered as soon as it is listed.
@Suite struct TransformTests {
  struct Method: CustomTestStringConvertible, Sendable {
    let id: String
    var options: [String: String] = [:]
    var testDescription: String { ([id] + options.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }).joined(separator: ":") }
  }

  private static let names = QConvert.builtIn.compactMap { ($0 as? any QuantizationMethod.Type)?.id }
  /// All methods with default options; those with a transform also with options that lead to other scales.
  static let methods =
    names.map { Method(id: $0) } + [
      Method(id: "awq", options: ["duo": "off"]), Method(id: "smoothquant", options: ["alpha": "0.9"]),
      Method(id: "smoothquant", options: ["alpha": "auto"]),
    ]
  /// Methods that are known to change weights; a test in which they change nothing proves nothing.
  private static let transforming: Set = ["awq", "smoothquant", "rotate"]
  /// Methods that only round, or correct what others rounded, and are refused if nothing is rounded.
  private static let rounding: Set = ["gptq", "lorc", "lqer", "eora", "lq-lora"]
  /// Methods that choose the types themselves, and are refused beside a scheme.
  private static let choosing: Set = ["aptq"]
  /// Method and model without an exact transform: a norm after the layers, or one whose output the residual reads, cannot be folded.
  private static let refused = Set(
    [
      "opt-post-norm", "bloom-residual", "olmo2", "olmo3", "exaone4", "exaone4-window", "olmo", "bert", "distilbert", "roberta",
      "nomic-bert", "minimax-01",
    ].map { "smoothquant " + $0 })

  /// Models that can be rotated: dense, with a root mean square norm before each part and nowhere else in the stream of hidden states, and
  /// an output matrix of their own.
  private static let rotated: Set = [
    "apertus", "arcee", "ernie4.5", "granite", "hunyuan", "llama3-rope", "minicpm", "ministral", "ministral3", "mistral-window", "qwen2",
    "qwen3", "seed-oss", "tiny-llama", "tiny-llama-outlier",
  ]
  /// The same, but several matrices are stored as one.
  private static let fused: Set = ["glm", "phi3", "phi3-long"]

  /// The id of the failure with which a method refuses a model; nil: it takes it.
  private static func refusal(of method: String, _ name: String) -> String? {
    if method == "rotate" { return rotated.contains(name) ? nil : fused.contains(name) ? "method.layout" : "method.model" }
    return refused.contains("\(method) \(name)") ? "method.model" : nil
  }

  /// Trained models in a folder beside the checkout. tiny-llama is among the fixtures.
  static let trained = ["tiny-llama-outlier", "stories260k", "tiny-opt"]

  private let registry: Registry
  private let opening: Opening
  private let folder = TemporaryFolder()

  init() throws {
    registry = try Registry(QConvert.builtIn)
    opening = Opening(registry)
  }

  private func engine(_ path: String) throws -> Engine {
    let checkpoint = try opening.open(path)
    return try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
  }

  private func method(_ given: Method) throws -> any QuantizationMethod {
    let type = try registry.method(given.id)
    return try type.init(OptionValues(given.options, declarations: type.options, plugin: given.id))
  }

  private func tokens(_ engine: Engine) -> [Int] { (0..<80).map { ($0 * 37 + 5) % engine.model.vocabularySize } }

  /// max|Δ| / max|logit|; infinite if a difference is not finite.
  private func distance(_ a: Matrix, _ b: Matrix) -> Float {
    let largest = b.values.reduce(0) { max($0, abs($1)) }
    return zip(a.values, b.values).reduce(0) { ($1.0 - $1.1).isFinite ? max($0, abs($1.0 - $1.1) / largest) : .infinity }
  }

  private func logits(_ engine: Engine, _ change: (inout BlockWorkspace) throws -> Void = { _ in }) throws -> Matrix {
    var hidden = try engine.embed(tokens(engine), sequenceLength: 40)
    for index in 0..<engine.model.blocks.count {
      var block = engine.loadBlock(index)
      try change(&block)
      engine.runBlock(block, hidden: &hidden, sequenceLength: 40)
    }
    return engine.outputs(hidden)
  }

  @Test func everyFamilyHasARandomModel() throws {
    let described = try RandomModel.names.map { try opening.describe(opening.open(SharedData.fixture("engine/" + $0))).family }
    // Models of the first are described as those of the families of their language models; those of the second are not computed.
    #expect(Set(described + ["language-parts", "t5-umt5"]) == Set(registry.families.map { $0.id }))
  }

  @Test(arguments: methods, RandomModel.names) func logitsStayWhereNothingIsRounded(_ given: Method, _ name: String) throws {
    try checkLogits(given, name, in: SharedData.fixture("engine/" + name))
  }

  // Default options only: the others are for other scales, which the random models cover.
  @Test(arguments: names) func logitsOfATrainedModelStayWhereNothingIsRounded(_ method: String) throws {
    try checkLogits(Method(id: method), "tiny-llama", in: SharedData.fixture("models/tiny-llama"))
  }

  @Test(.enabled(if: SharedData.has("models"), "needs ../shared/models"), arguments: names, trained)
  func logitsOfOtherTrainedModelsStayWhereNothingIsRounded(_ method: String, _ name: String) throws {
    try checkLogits(Method(id: method), name, in: SharedData.path("models/" + name))
  }

  private func checkLogits(_ given: Method, _ name: String, in path: String) throws {
    let engine = try engine(path)
    let method = try method(given)
    if method.stages.contains(.rewrite) { return try checkRewriting(method, name, engine, in: path) }
    #expect((method.obstacle(in: engine.model) != nil) == (Self.refusal(of: given.id, name) == "method.model"))
    guard method.obstacle(in: engine.model) == nil else { return }
    let scheme = try registry.scheme("int4-channel", modelType: .bf16)
    var observed = try engine.embed(tokens(engine), sequenceLength: 40)
    var isChanged = false
    let transformed = try logits(engine) { block in
      for linear in block.graph.linears where engine.model.kind(of: TensorID(linear.layer, block: block.index)) != .router {
        block.schemes[linear.layer] = scheme
      }
      let collector = StatisticsCollector(method.statistics, parallel: engine.parallel)
      let before = block
      engine.runBlock(before, hidden: &observed, sequenceLength: 40, observer: collector)
      block.statistics = collector.statistics()
      _ = try method.transform(&block)
      isChanged = isChanged || block.matrices != before.matrices
    }
    #expect(isChanged || !Self.transforming.contains(given.id), "a transform changes something")
    let distance = try distance(transformed, logits(engine))
    #expect(distance < 1e-4)
  }

  private func checkRewriting(_ method: any QuantizationMethod, _ name: String, _ engine: Engine, in path: String) throws {
    let refusal = Self.refusal(of: type(of: method).id, name)
    #expect((method.obstacle(in: engine.model) != nil) == (refusal == "method.model"))
    if refusal == "method.model" { return }
    let checkpoint = try opening.open(path)
    guard refusal == nil else {
      let failure = #expect(throws: Failure.self) { try checkpoint.rewritten(by: [method], model: engine.model) }
      #expect(failure?.id == refusal)
      return
    }
    let other = try Engine(checkpoint.rewritten(by: [method], model: engine.model), model: engine.model, parallel: engine.parallel)
    let query = try (#require(other.loadBlock(0).matrices[.query]), #require(engine.loadBlock(0).matrices[.query]))
    #expect(query.0 != query.1)
    let distance = try distance(logits(other), logits(engine))
    #expect(distance < 1e-4)
  }

  /// Tests every scaling that a family allows, not only the scales that a method happens to find.
  @Test(arguments: RandomModel.names) func everyFoldOfEveryFamilyTakesAnyScales(_ name: String) throws {
    let engine = try engine(SharedData.fixture("engine/" + name))
    let expected = try logits(engine)
    let blocks = engine.model.blocks
    // Equal blocks have the same folds.
    for (index, description) in blocks.enumerated() where blocks.firstIndex(of: description) == index {
      let first = engine.loadBlock(index)
      for fold in description.graph.folds {
        let channels = try #require(description.graph.consumers(of: fold).first.flatMap { first.matrices[$0]?.columns })
        // Powers from 1/4 to 4, shuffled.
        let scales = fold.tied((0..<channels).map { Power.of(2, Float($0 * 37 % 41) / 10 - 2) })
        var isChanged = false
        let folded = try logits(engine) { block in
          guard block.description == description else { return }
          let before = block.matrices
          block.apply(fold, scales: scales)
          isChanged = block.matrices != before
        }
        #expect(distance(folded, expected) < 1e-4, "\(fold.site.name)")
        #expect(isChanged)
      }
    }
  }

  /// The folds that a family leaves out would change the result.
  @Test(arguments: ["opt-gelu", "gpt2", "bloom"]) func scalesDoNotPassThroughABentActivation(_ name: String) throws {
    let engine = try engine(SharedData.fixture("engine/" + name))
    let fold = Fold(site: .feedForwardOutput, producer: .rows(.up))
    #expect(!engine.model.firstGraph.folds.contains { $0.producer == fold.producer })
    let scales = [Float](repeating: 2, count: (engine.model.feedForward?.innerSize ?? 0))
    #expect(try distance(logits(engine) { $0.apply(fold, scales: scales) }, logits(engine)) > 1e-3)
  }

  @Test(arguments: ["opt-post-norm", "bloom-residual"]) func scalesDoNotPassThroughANormThatTheResidualReads(_ name: String) throws {
    let engine = try engine(SharedData.fixture("engine/" + name))
    let fold = Fold(site: .feedForwardInput, producer: .norm(name == "opt-post-norm" ? .attentionNorm : .feedForwardNorm))
    let scales = [Float](repeating: 2, count: engine.model.hiddenSize)
    #expect(try distance(logits(engine) { $0.apply(fold, scales: scales) }, logits(engine)) > 1e-3)
  }

  // MARK: - Through files

  private func request(_ model: String, _ output: String, _ method: Method?) throws -> ConversionRequest {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.scheme = "f32"
    request.threads = 2
    request.calibration.samples = 4
    request.calibration.context = 32
    request.calibration.files = [folder.file("text.txt")]
    writeFile(folder.file("text.txt"), Array(RandomModel.text.utf8))
    guard let method else { return request }
    var options = method.options
    // Nothing is rounded here, so a method that searches for the best scales of a scheme must be given one.
    if try registry.method(method.id).options.contains(where: { $0.name == "search" }) { options["search"] = "int4-channel" }
    request.methods = [(id: method.id, options: options)]
    return request
  }

  @Test func importanceIsOfChannelsAsTheyWere() throws {
    var request = try request(SharedData.fixture("models/tiny-llama"), "importance.gguf", Method(id: "rotate"))
    request.importancePath = folder.file("imatrix.gguf")
    let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request) }
    #expect(failure?.id == "method.importance" && failure?.kind == .usage)
  }

  @Test func whatMayReadHiddenStatesIsNotGuessed() throws {
    let path = SharedData.fixture("models/tiny-llama")
    var source = try opening.open(path)
    let model = try opening.describe(source), rotate = try method(Method(id: "rotate"))
    var further = try #require(source["model.embed_tokens.weight"])
    further.name = "v_head.weight"
    source.replaceTensors(source.tensors + [further])
    let failure = #expect(throws: Failure.self) { try source.rewritten(by: [rotate], model: model) }
    #expect(failure?.id == "method.unknown-tensor" && failure?.tensor == "v_head.weight")
  }

  @Test func eitherRotationAloneComputesTheSame() throws {
    let path = SharedData.fixture("models/tiny-llama")
    let source = try opening.open(path), model = try engine(path)
    let value = TensorID(.value, block: 0), up = TensorID(.up, block: 0)
    for (options, changed, kept) in [(["values": "off"], up, nil), (["hidden": "off"], value, up as TensorID?)] {
      let method = try method(Method(id: "rotate", options: options))
      let other = try Engine(source.rewritten(by: [method], model: model.model), model: model.model, parallel: model.parallel)
      func differs(_ id: TensorID) -> Bool { other.loadBlock(0).matrices[id.layer] != model.loadBlock(0).matrices[id.layer] }
      #expect(differs(changed) && !(kept.map(differs) ?? false))
      #expect(try distance(logits(other), logits(model)) < 1e-4)
    }
    let seeds = try ["1", "2"].map { try method(Method(id: "rotate", options: ["seed": $0])) }
    let rows = try seeds.map { try source.rewritten(by: [$0], model: model.model)["model.embed_tokens.weight"]?.matrix() }
    #expect(rows[0] != nil && rows[0] != rows[1])
  }

  /// In fused, transposed, interleaved and stacked tensors, the fold scales the right parts.
  @Test(arguments: RandomModel.names, ["folder", "model.gguf"]) func outputsWithoutRoundingComputeTheSame(_ name: String, _ output: String)
    throws
  {
    let path = try RandomModel.copy(name, into: folder)
    let source = try opening.open(path)
    if output.hasSuffix(".gguf"), try opening.describe(source).architecture(.gguf) == nil { return }
    // A format may store less about a model than its source does; so the comparison is with a plain conversion.
    let plain = try request(path, "plain \(output)", nil)
    try Converter(registry).run(Planner(registry).plan(plain), progress: SilentProgress())
    let expected = try logits(engine(plain.output))
    for method in Self.methods where method.options.isEmpty {
      let request = try request(path, "\(method.testDescription) \(output)", method)
      if let refusal = Self.refusal(of: method.id, name) {
        let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request) }
        #expect(failure?.id == refusal && failure?.kind == .unsupported && failure?.remedy?.description.isEmpty == false)
        continue
      }
      if Self.rounding.contains(method.id) || Self.choosing.contains(method.id) {
        let failure = #expect(throws: Failure.self) { try Planner(registry).plan(request) }
        #expect(failure?.id == (Self.choosing.contains(method.id) ? "method.types" : "method.unused") && failure?.kind == .usage)
        continue
      }
      let plan = try Planner(registry).plan(request)
      #expect(plan.tensors.allSatisfy { $0.scheme.name == "f32" })
      try Converter(registry).run(plan, progress: SilentProgress())
      let made = try opening.open(request.output)
      let distance = try distance(logits(engine(request.output)), expected)
      #expect(distance < 1e-4, "\(method.testDescription)")
      guard Self.transforming.contains(method.id), output == "folder" else { continue }
      #expect(made.tensors.contains { $0.matrix() != source[$0.name]?.matrix() }, "\(method.testDescription) changes something")
    }
  }
}
