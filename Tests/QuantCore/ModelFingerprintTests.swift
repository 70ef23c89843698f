import QuantCore
import Testing

@testable import QuantModel

/// A model's fingerprint covers everything that changes what the model computes.
@Suite struct ModelFingerprintTests {
  private static func attention(_ change: (inout Attention) -> Void = { _ in }) -> Branch {
    var part = Attention(width: 64, headCount: 4, keyValueHeadCount: 2, headSize: 16, rope: Rope(theta: 10000, dimension: 16))
    change(&part)
    return Branch(norm: Norm(.attentionNorm, .rootMeanSquare, epsilon: 1e-5), part)
  }

  private static func feedForward(_ change: (inout FeedForward) -> Void = { _ in }) -> Branch {
    var part = FeedForward(width: 64, innerSize: 128, activation: .silu, isGated: true)
    change(&part)
    return Branch(norm: Norm(.feedForwardNorm, .rootMeanSquare, epsilon: 1e-5), part)
  }

  private static func model(
    _ first: [Branch] = [attention(), feedForward()], _ second: [Branch] = [attention(), feedForward()],
    _ change: (inout ModelDescription) -> Void = { _ in }
  ) -> ModelDescription {
    var model = ModelDescription(
      family: "test", hiddenSize: 64, vocabularySize: 100, contextLength: 128, embedding: EmbeddingDescription(width: 64),
      blocks: [BlockDescription(first), BlockDescription(second)],
      head: HeadDescription(norm: Norm(.outputNorm, .rootMeanSquare, epsilon: 1e-5), isTied: false), tensors: [])
    change(&model)
    return model
  }

  /// Models that all compute something different.
  private static let different: [(what: String, model: ModelDescription)] = [
    ("none", model()), ("family", model { $0.family = "other" }), ("width", model { $0.hiddenSize += 1 }),
    ("vocabulary", model { $0.vocabularySize += 1 }), ("context", model { $0.contextLength += 1 }),
    ("embedding scale", model { $0.embedding.scale = 8 }), ("positions", model { $0.embedding.positionOffset = 2 }),
    ("tied head", model { $0.head.isTied = true }), ("cap", model { $0.head.cap = 30 }),
    ("head count", model([attention { $0.headCount = 8 }, feedForward()])),
    ("key-value heads", model([attention { $0.keyValueHeadCount = 1 }, feedForward()])),
    ("window of the first block", model([attention { $0.window = 8 }, feedForward()])),
    ("window of the second block", model([attention(), feedForward()], [attention { $0.window = 8 }, feedForward()])),
    ("window of both", model([attention { $0.window = 8 }, feedForward()], [attention { $0.window = 8 }, feedForward()])),
    ("another window", model([attention { $0.window = 9 }, feedForward()])),
    ("sinks", model([attention { $0.hasSinks = true }, feedForward()])),
    ("linear bias", model([attention { $0.hasLinearBias = true }, feedForward()])),
    ("score cap", model([attention { $0.scoreCap = 50 }, feedForward()])),
    ("score scale", model([attention { $0.scale = 0.5 }, feedForward()])),
    ("query norm", model([attention { $0.queryNorm = Norm(.queryNorm, .rootMeanSquare, epsilon: 1e-6) }, feedForward()])),
    ("no rope", model([attention { $0.rope = nil }, feedForward()])),
    ("base", model([attention { $0.rope?.theta = 10000.0.nextUp }, feedForward()])),
    ("rotated dimensions", model([attention { $0.rope?.dimension = 8 }, feedForward()])),
    ("linear scaling", model([attention { $0.rope?.scaling = .linear(factor: 2) }, feedForward()])),
    ("linear scaling by 3", model([attention { $0.rope?.scaling = .linear(factor: 3) }, feedForward()])),
    ("factors", model([attention { $0.rope?.scaling = .factors([1, 2]) }, feedForward()])),
    ("other factors", model([attention { $0.rope?.scaling = .factors([1, 3]) }, feedForward()])),
    ("inner size", model([attention(), feedForward { $0.innerSize = 256 }])),
    ("activation", model([attention(), feedForward { $0.activation = .geluTanh }])),
    ("gate", model([attention(), feedForward { $0.isGated = false }])), ("order", model([feedForward(), attention()])),
    ("one branch", model([attention()])),
  ]

  private static func fingerprint(_ model: ModelDescription) -> String {
    let checkpoint = Checkpoint(path: "", format: "", tensors: [], naming: Naming(rawValue: "test"), configuration: nil, files: [])
    return ModelFingerprint.of(checkpoint, description: model.canonicalText)
  }

  @Test func anotherNumberOrPartIsAnotherFingerprint() {
    var seen: [String: String] = [:]
    for (what, model) in Self.different {
      let earlier = seen.updateValue(what, forKey: Self.fingerprint(model))
      #expect(earlier == nil, "\(what) has the fingerprint of \(earlier ?? "")")
    }
  }

  @Test func everyFieldOfAPartIsInTheText() {
    func check(_ value: Any) {
      let text = "\(value)"
      for label in Mirror(reflecting: value).children.compactMap(\.label) { #expect(text.contains("\(label):"), "\(label)") }
    }
    check(Attention(width: 64, headCount: 4, keyValueHeadCount: 2, headSize: 16))
    check(Self.feedForward())
    check(Self.model().head)
    check(Self.model().embedding)
  }

  @Test func equalModelsHaveOneFingerprintInEveryRun() {
    #expect(Self.fingerprint(Self.model()) == Self.fingerprint(Self.model()))
    // A dictionary or set inside a part would be described in a different order by each process.
    #expect(Self.model().canonicalText.hasPrefix("test 64 100 128\n"))
    #expect(Self.model().canonicalText.hasSuffix("block as 0\n"))
  }
}
