import Testing

@testable import QuantCore

/// A model's fingerprint covers everything that changes what flows through it.
@Suite struct ModelFingerprintTests {
  /// A change to every field of `HyperParameters`; several where a value has parts of its own.
  private static let changes: [(field: String, change: @Sendable (inout HyperParameters) -> Void)] = [
    ("hiddenSize", { $0.hiddenSize += 1 }), ("blockCount", { $0.blockCount += 1 }), ("headCount", { $0.headCount += 1 }),
    ("keyValueHeadCount", { $0.keyValueHeadCount += 1 }), ("headSize", { $0.headSize += 1 }),
    ("feedForwardSize", { $0.feedForwardSize += 1 }), ("vocabularySize", { $0.vocabularySize += 1 }),
    ("contextLength", { $0.contextLength += 1 }), ("normEpsilon", { $0.normEpsilon = $0.normEpsilon.nextUp }),
    ("norm", { $0.norm = .layer }), ("normPlacement", { $0.normPlacement = .after }),
    ("keepsNormedResidual", { $0.keepsNormedResidual.toggle() }), ("positions", { $0.positions = .linearBias }),
    ("positions", { $0.positions = .learned(offset: 0) }), ("positions", { $0.positions = .learned(offset: 2) }),
    ("rope", { $0.rope.theta = $0.rope.theta.nextUp }), ("rope", { $0.rope.dimension += 1 }),
    ("rope", { $0.rope.scaling = .linear(factor: 2) }), ("rope", { $0.rope.scaling = .linear(factor: 3) }),
    ("rope", { $0.rope.scaling = .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192) }),
    ("rope", { $0.rope.scaling = .llama3(factor: 7, lowFrequency: 1, highFrequency: 4, originalContext: 8192) }),
    ("rope", { $0.rope.scaling = .llama3(factor: 8, lowFrequency: 2, highFrequency: 4, originalContext: 8192) }),
    ("rope", { $0.rope.scaling = .llama3(factor: 8, lowFrequency: 1, highFrequency: 5, originalContext: 8192) }),
    ("rope", { $0.rope.scaling = .llama3(factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 4096) }),
    ("rope", { $0.rope.scaling = .factors([1, 2]) }), ("rope", { $0.rope.scaling = .factors([1, 3]) }),
    ("activation", { $0.activation = .relu }), ("activation", { $0.activation = .gelu }), ("activation", { $0.activation = .geluTanh }),
    ("isGated", { $0.isGated.toggle() }), ("expertCount", { $0.expertCount += 1 }), ("expertsPerToken", { $0.expertsPerToken += 1 }),
    ("embeddingSize", { $0.embeddingSize = 8 }), ("embeddingSize", { $0.embeddingSize = 16 }),
    ("slidingWindow", { $0.slidingWindow = 8 }), ("slidingWindow", { $0.slidingWindow = 16 }),
    ("tiesEmbeddings", { $0.tiesEmbeddings.toggle() }), ("statesHeadSize", { $0.statesHeadSize.toggle() }),
  ]

  private func model(_ change: (inout ModelDescription) -> Void = { _ in }) -> ModelDescription {
    let graph = BlockGraph(linears: [(.query, .attentionInput), (.attentionOutput, .attentionOutput)], folds: [])
    var model = ModelDescription(family: "test", ggufArchitecture: nil, parameters: HyperParameters(), tensors: [], block: graph)
    change(&model)
    return model
  }

  private func fingerprint(_ model: ModelDescription) -> String {
    let checkpoint = Checkpoint(path: "", format: "", tensors: [], naming: .huggingFace, configuration: nil, files: [])
    return ModelFingerprint.of(checkpoint, description: model.canonicalText)
  }

  @Test func everyFieldIsInTheList() {
    let fields = Set(Mirror(reflecting: HyperParameters()).children.compactMap(\.label))
    #expect(Set(ModelFingerprintTests.changes.map(\.field)) == fields)
    #expect(Set(Mirror(reflecting: Rope()).children.compactMap(\.label)) == ["theta", "dimension", "scaling"])
  }

  @Test func anotherNumberIsAnotherFingerprint() {
    var seen = [fingerprint(model()): "none"]
    for (index, (field, change)) in ModelFingerprintTests.changes.enumerated() {
      let earlier = seen.updateValue("\(field) \(index)", forKey: fingerprint(model { change(&$0.parameters) }))
      #expect(earlier == nil, "\(field) \(index) has the fingerprint of \(earlier ?? "")")
    }
  }

  @Test func anotherGraphOrFamilyIsAnotherFingerprint() {
    let changed = [
      model(), model { $0.family = "other" }, model { $0.block.linears.swapAt(0, 1) },
      model { $0.block.linears[1].input = .attentionInput }, model { $0.block.linears[0].layer = .key },
      model { $0.block.linears[0].layer = Layer(.query, expert: 0) },
    ]
    #expect(Set(changed.map { fingerprint($0) }).count == changed.count)
    #expect(fingerprint(model()) == fingerprint(model()))
  }
}
