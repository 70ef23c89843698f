// The file of an analysis: one JSON document (`Docs/formats.md`).

extension SizeAnalysis {
  /// The largest file that is read.
  private static let maximumBytes = 1 << 30

  /// Reads a file that `analyze` wrote.
  /// - Throws: `Failure` `sizes.…` if it is no such file, has another version, or holds values that make no sense.
  public init(path: String) throws(Failure) {
    let bytes = try Files.read(path, maximumBytes: SizeAnalysis.maximumBytes)
    guard let json = try? bytes.withUnsafeBytes({ try JSON.parse($0, .strict) }), let version = json["qconvert_analysis"]?.intValue else {
      throw Failure(
        .data, "sizes.kind", "is not an analysis", file: path, remedy: "Give a file that \(command: "analyze") wrote.")
    }
    guard version == SizeAnalysis.version else {
      throw Failure(
        .data, "sizes.version", "has layout \(version), but this program reads layout \(SizeAnalysis.version)", file: path,
        remedy: "Analyze the model again with \(command: "analyze").")
    }
    guard let read = SizeAnalysis(json) else {
      throw Failure(
        .data, "sizes.malformed", "lacks values of an analysis, or holds some that make no sense", file: path,
        remedy: "Analyze the model again with \(command: "analyze").")
    }
    self = read
  }

  /// Nil if something is missing or makes no sense.
  init?(_ json: JSON) {
    guard let model = json["model"]?.stringValue, let calibration = json["calibration"]?.stringValue, let text = json["text"]?.stringValue,
      let methods = json["methods"]?.arrayValue?.compactMap(\.stringValue), let effects = json["effects"]?.arrayValue,
      let tensors = json["tensors"]?.arrayValue, let curve = json["curve"]?.arrayValue
    else { return nil }
    self.init(
      model: model, methods: methods, calibration: calibration, text: text, effects: effects.compactMap { Effect($0) },
      tensors: tensors.compactMap { Tensor($0) }, curve: curve.compactMap { Point($0) })
    let isWhole = self.effects.count == effects.count && self.tensors.count == tensors.count && self.curve.count == curve.count
    let isSorted = zip(self.curve, self.curve.dropFirst()).allSatisfy { $0.sum < $1.sum && $0.measured <= $1.measured }
    guard isWhole, isSorted, Set(self.tensors.map(\.key)).count == tensors.count else { return nil }
  }

  /// The document, with keys in a fixed order.
  public var json: JSON {
    .object([
      .init("qconvert_analysis", .int(SizeAnalysis.version)), .init("program", .string(QuantCoreInfo.version)),
      .init("model", .string(model)), .init("methods", .array(methods.map { .string($0) })), .init("calibration", .string(calibration)),
      .init("text", .string(text)), .init("effects", .array(effects.map(\.json))),
      .init(
        "curve",
        .array(curve.map { .object([.init("sum", .double($0.sum)), .init("measured", .double($0.measured))]) })),
      .init("tensors", .array(tensors.map(\.json))),
    ])
  }
}

extension SizeAnalysis.Effect {
  fileprivate init?(_ json: JSON) {
    guard let kind = json["kind"]?.stringValue, let loss = json["loss"]?.cost, let divergence = json["divergence"]?.cost,
      let growth = json["growth"]?.cost, (1...2).contains(growth)
    else { return nil }
    var blocks: ClosedRange<Int>?
    if let first = json["first_block"]?.intValue, let last = json["last_block"]?.intValue {
      guard first >= 0, last >= first else { return nil }
      blocks = first...last
    }
    self.init(kind: kind, blocks: blocks, loss: loss, divergence: divergence, growth: growth)
  }

  fileprivate var json: JSON {
    .object([
      .init("kind", .string(kind)), .init("first_block", blocks.map { .int($0.lowerBound) } ?? .null),
      .init("last_block", blocks.map { .int($0.upperBound) } ?? .null), .init("loss", .double(loss)),
      .init("divergence", .double(divergence)), .init("growth", .double(growth)),
    ])
  }
}

extension SizeAnalysis.Point {
  fileprivate init?(_ json: JSON) {
    guard let sum = json["sum"]?.cost, let measured = json["measured"]?.cost, sum > 0, measured > 0 else { return nil }
    self.init(sum: sum, measured: measured)
  }
}

extension SizeAnalysis.Tensor {
  fileprivate init?(_ json: JSON) {
    guard let key = json["tensor"]?.stringValue, let weights = json["weights"]?.intValue, weights > 0,
      let all = json["candidates"]?.arrayValue
    else { return nil }
    let candidates = all.compactMap { json -> SizeAnalysis.Candidate? in
      guard let scheme = json["scheme"]?.stringValue, let bits = json["bits_per_weight"]?.cost, let loss = json["loss"]?.cost,
        let divergence = json["divergence"]?.cost
      else { return nil }
      return SizeAnalysis.Candidate(scheme: scheme, bitsPerWeight: bits, loss: loss, divergence: divergence)
    }
    guard candidates.count == all.count else { return nil }
    self.init(key: key, weights: weights, candidates: candidates)
  }

  fileprivate var json: JSON {
    .object([
      .init("tensor", .string(key)), .init("weights", .int(weights)),
      .init(
        "candidates",
        .array(
          candidates.map { candidate in
            .object([
              .init("scheme", .string(candidate.scheme)), .init("bits_per_weight", .double(candidate.bitsPerWeight)),
              .init("loss", .double(candidate.loss)), .init("divergence", .double(candidate.divergence)),
            ])
          })),
    ])
  }
}

extension JSON {
  /// A finite number that is not negative.
  fileprivate var cost: Double? { doubleValue.flatMap { $0.isFinite && $0 >= 0 ? $0 : nil } }
}
