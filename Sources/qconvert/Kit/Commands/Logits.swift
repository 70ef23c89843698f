import ArgumentParser
import Logging
import QuantCore

/// `qconvert logits MODEL OUT --ids FILE`: what a model computes, to compare it with another program's logits.
struct Logits: QConvertCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Write the logits of given token ids as raw 32-bit floats; of an encoder, the hidden states.",
    discussion: """
      OUT holds [tokens, vocabulary] little-endian floats, row by row; of an encoder, which has no logits, the \
      [tokens, channels] of its hidden states after the last norm, before they are pooled. An existing file is replaced only with --force.
      """)

  @Argument(help: ArgumentHelp("Model to run.", valueName: "MODEL"))
  var model: String

  @Argument(help: ArgumentHelp("File to write.", valueName: "OUT"))
  var output: String

  @Option(help: ArgumentHelp("Read token ids from FILE, separated by white space.", valueName: "FILE"))
  var ids: String

  @Option(help: ArgumentHelp("Read this config.json instead of the one beside the model.", valueName: "FILE"))
  var config: String?

  @Flag(help: "Replace an existing file.")
  var force = false

  @OptionGroup var adapters: AdapterOptions
  @OptionGroup var simulation: SimulationOptions
  @OptionGroup var global: GlobalOptions

  /// How many logits are in memory at a time.
  private static let logitCount = 32 << 20

  func run(_ registry: Registry, _ session: Session) throws {
    let tokens = try Files.readText(ids).split(whereSeparator: \.isWhitespace).map { word in
      guard let id = Int(word) else {
        throw Failure(.data, "logits.ids", "'\(word)' is not a token id", file: ids, remedy: "Write whole numbers.")
      }
      return id
    }
    let opening = Opening(registry)
    let checkpoint = try adapters.applied(to: opening.open(model, configPath: config), opening)
    session.warn(about: checkpoint)
    var engine = try Engine(
      checkpoint, model: opening.describe(checkpoint).givingLogits(file: checkpoint.path), parallel: Parallel(threads: global.threadCount())
    )
    if let request = try simulation.request(registry) {
      engine.simulation = try simulation.simulation(request, engine, checkpoint: checkpoint, registry: registry, session.log) {
        try opening.tokenizer(for: checkpoint)
      }
    }
    var hidden = try engine.embed(tokens, sequenceLength: tokens.count)
    guard hidden.rows > 0 else { throw Failure(.data, "logits.ids", "holds no token ids", file: ids) }
    for block in 0..<engine.model.blocks.count {
      engine.runBlock(engine.loadBlock(block), hidden: &hidden, sequenceLength: tokens.count)
    }
    let width = engine.model.head.pooling == nil ? engine.model.vocabularySize : engine.model.hiddenSize
    // No overflow: each token was a word in a file, and each entry of the vocabulary is a row in another.
    let size = tokens.count * width * MemoryLayout<Float>.size
    let layout = OutputLayout(
      isFolder: false, files: [.init(name: "", size: size, literals: [])],
      placements: [.init(tensor: 0, part: 0, file: 0, offset: 0, byteCount: size)])
    let transaction = try OutputTransaction(layout: layout, target: output, force: force, inputs: checkpoint.files)
    let piece = max(1, Logits.logitCount / width)
    var offset = 0
    for first in stride(from: 0, to: hidden.rows, by: piece) {
      let rows = first..<min(hidden.rows, first + piece)
      let values = Array(hidden.values[rows.lowerBound * hidden.columns..<rows.upperBound * hidden.columns])
      let logits = engine.outputs(Matrix(rows: rows.count, columns: hidden.columns, values: values)).values
      try logits.withUnsafeBytes { try transaction.write(file: 0, offset: offset, bytes: $0) }
      offset += logits.count * MemoryLayout<Float>.size
    }
    try transaction.commit()
    session.log.notice("\(Wording.printable(output)): \(Wording.shape([tokens.count, width])) 32-bit floats")
    if session.isJSON {
      let shape = JSON.array([.int(tokens.count), .int(width)])
      try session.answer(.object([.init("ok", .bool(true)), .init("output", .string(output)), .init("shape", shape)]), text: "")
    }
  }
}
