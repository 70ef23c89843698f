import QConvertKit
import QuantCore
import TestSupport
import Testing

/// The matrices outside of the blocks, rounded by a method that observes.
@Suite struct OuterMatrixTests {
  private let registry: Registry
  private let folder = TemporaryFolder()
  private let llama = SharedData.fixture("models/tiny-llama")

  init() throws { registry = try Registry(QConvert.builtIn) }

  private func convert(_ model: String, _ output: String, _ methods: [String], _ change: (inout ConversionRequest) -> Void = { _ in })
    throws
  {
    var request = ConversionRequest(input: model, output: folder.file(output))
    request.scheme = "q4_0"
    request.isPure = true
    request.methods = methods.map { (id: $0, options: [:]) }
    request.calibration.samples = 16
    request.calibration.context = 64
    request.threads = 2
    change(&request)
    _ = try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
  }

  private func engine(_ path: String) throws -> Engine {
    let opening = Opening(registry)
    let checkpoint = try opening.open(path)
    return try Engine(checkpoint, model: opening.describe(checkpoint), parallel: Parallel(threads: 2))
  }

  /// The Gram matrix of what the output matrix of an unquantized model reads on some tokens.
  private func headGram(_ model: String, _ tokens: [Int], length: Int) throws -> [Float] {
    let engine = try engine(model)
    var hidden = try engine.embed(tokens, sequenceLength: length)
    for block in engine.model.blocks.indices { engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: length) }
    let collector = StatisticsCollector([.gram], parallel: engine.parallel)
    engine.observeHead(hidden, observer: CrossObserver(collector, at: [], parallel: engine.parallel))
    return try #require(collector.statistics()[.head]).gram
  }

  /// Σ Δ·H·Δᵀ over the first rows of a matrix, Δ being what rounding changed.
  private func error(_ output: String, _ name: String, of model: String, _ source: String, under gram: [Float]) throws -> Double {
    let opening = Opening(registry)
    let rounded = try #require(try opening.open(folder.file(output))[name]).matrix()
    let original = try #require(try opening.open(model)[source]).matrix()
    let columns = original.columns
    var sum = 0.0
    for row in 0..<min(96, original.rows) {
      let delta = (0..<columns).map { rounded[row, $0] - original[row, $0] }
      for i in 0..<columns {
        var product: Float = 0
        for j in 0..<columns { product += gram[i * columns + j] * delta[j] }
        sum += Double(delta[i] * product)
      }
    }
    return sum
  }

  private func tokens(_ count: Int) throws -> [Int] {
    let opening = Opening(registry)
    let text = String(decoding: readFile(SharedData.fixture("text/evaluation.txt")).prefix(12_000), as: UTF8.self)
    return Array(try opening.tokenizer(for: opening.open(llama)).encode(text).prefix(count))
  }

  @Test func theOutputMatrixIsRoundedByWhatItReads() throws {
    try convert(llama, "plain.gguf", [])
    try convert(llama, "gptq.gguf", ["gptq"])
    // On text that the method has not seen.
    let gram = try headGram(llama, tokens(512), length: 128)
    func error(_ output: String) throws -> Double {
      try self.error(output, "output.weight", of: llama, "lm_head.weight", under: gram)
    }
    let (plain, feedback) = (try error("plain.gguf"), try error("gptq.gguf"))
    #expect(feedback < 0.6 * plain, "\(feedback) against \(plain)")
  }

  @Test func theEmbeddingIsRoundedByWhatTheFirstBlockReads() throws {
    try convert(llama, "plain.gguf", [])
    try convert(llama, "gptq.gguf", ["gptq"])
    let source = try Opening(registry).open(llama)
    var gram = [Float](repeating: 0, count: 256 * 256)
    for (norm, layers) in [
      ("input_layernorm", ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
      ("post_attention_layernorm", ["mlp.gate_proj", "mlp.up_proj"]),
    ] {
      let gain = try #require(source["model.layers.0.\(norm).weight"]).matrix().values
      for layer in layers {
        let weights = try #require(source["model.layers.0.\(layer).weight"]).matrix()
        for row in 0..<weights.rows {
          let scaled = (0..<256).map { weights[row, $0] * gain[$0] }
          for i in 0..<256 { for j in 0..<256 { gram[i * 256 + j] += scaled[i] * scaled[j] } }
        }
      }
    }
    func error(_ output: String) throws -> Double {
      try self.error(output, "token_embd.weight", of: llama, "model.embed_tokens.weight", under: gram)
    }
    let (plain, feedback) = (try error("plain.gguf"), try error("gptq.gguf"))
    #expect(feedback < 0.8 * plain, "\(feedback) against \(plain)")
  }

  @Test func aTiedMatrixIsRoundedByWhatItReadsAsOutputMatrix() throws {
    let model = try RandomModel.copy("llama-biases", into: folder)
    let text = folder.file("text.txt")
    writeFile(text, Array(RandomModel.text.utf8))
    for methods in [[], ["gptq"]] {
      try convert(model, methods.isEmpty ? "plain.gguf" : "gptq.gguf", methods) { $0.calibration.files = [text] }
    }
    let opening = Opening(registry)
    let tokens = try opening.tokenizer(for: opening.open(model)).encode(RandomModel.text)
    let gram = try headGram(model, Array(tokens.prefix(1024)), length: 64)
    func error(_ output: String) throws -> Double {
      try self.error(output, "token_embd.weight", of: model, "model.embed_tokens.weight", under: gram)
    }
    let (plain, feedback) = (try error("plain.gguf"), try error("gptq.gguf"))
    #expect(feedback < plain, "\(feedback) against \(plain)")
  }

}
