extension Mix {
  /// The mixes of llama-quantize, in order of decreasing size. In many of them, attention outputs of models with 8 experts get more bits.
  static let table: [Mix] = [
    Mix(name: "f32", fileType: 0, base: .plain(.f32)),
    Mix(name: "bf16", fileType: 32, base: .plain(.bf16)),
    Mix(name: "f16", fileType: 1, base: .plain(.f16)),
    Mix(name: "q8_0", fileType: 7, base: .blocks(.q8_0), output: .q8_0),
    Mix(name: "q6_k", fileType: 18, base: .blocks(.q6_k)),
    Mix(
      name: "q5_k_m", alias: "q5_k", fileType: 17, base: .blocks(.q5_k), value: [.init(.q6_k, .scattered)],
      down: [.init(.q6_k, .scattered)]),
    Mix(name: "q5_k_s", fileType: 16, base: .blocks(.q5_k)),
    Mix(name: "q5_1", fileType: 9, base: .blocks(.q5_1)),
    // With importance, a minimum guards against outliers in the first blocks; without it, types with a minimum do worse there.
    Mix(name: "q5_0", fileType: 8, base: .blocks(.q5_0), down: [.init(.q5_1, .firstPart(8), .importance)]),
    Mix(
      name: "q4_k_m", alias: "q4_k", fileType: 15, base: .blocks(.q4_k), value: [.init(.q6_k, .scattered)], attentionOutput: eightExperts,
      down: [
        .init(.q6_k, .falcon, .firstPart(16)), .init(.q5_k, .falcon, .scattered), .init(.q6_k, .notFalcon, .scattered),
      ]),
    Mix(
      name: "q4_k_s", fileType: 14, base: .blocks(.q4_k), value: [.init(.q5_k, .first(4))], attentionOutput: eightExperts,
      down: [.init(.q5_k, .notFalcon, .firstPart(8))]),
    Mix(name: "q4_1", fileType: 3, base: .blocks(.q4_1)),
    Mix(name: "q4_0", fileType: 2, base: .blocks(.q4_0), down: [.init(.q4_1, .firstPart(8), .importance)]),
    Mix(
      name: "iq4_nl", fileType: 25, base: .blocks(.iq4_nl), value: [.init(.q5_k, .sharedHeads)], attentionOutput: eightExperts,
      down: [.init(.q5_k, .firstPart(8), .noImportance)]),
    Mix(
      name: "iq4_xs", fileType: 30, base: .blocks(.iq4_xs), value: [.init(.q5_k, .sharedHeads)], attentionOutput: eightExperts,
      down: [.init(.q5_k, .firstPart(8), .noImportance)]),
    Mix(name: "mxfp4_moe", fileType: 38, base: .blocks(.mxfp4), output: .q8_0, unstacked: .q8_0),
    Mix(
      name: "q3_k_l", fileType: 13, base: .blocks(.q3_k), value: [.init(.q5_k)],
      attentionOutput: [.init(.q4_k, .falcon), .init(.q5_k, .otherExperts)], down: [.init(.q4_k, .falcon), .init(.q5_k)]),
    Mix(
      name: "q3_k_m", alias: "q3_k", fileType: 12, base: .blocks(.q3_k), value: [.init(.q5_k, .first(2)), .init(.q4_k)],
      attentionOutput: eightExperts + [.init(.q4_k, .notFalcon)],
      down: [.init(.q5_k, .firstPart(16)), .init(.q4_k, .notFalcon), .init(.q4_k, .scattered)]),
    Mix(name: "q3_k_s", fileType: 11, base: .blocks(.q3_k), attentionOutput: eightExperts),
    Mix(
      name: "iq3_m", fileType: 27, base: .blocks(.iq3_s), value: [.init(.q4_k)], attentionOutput: eightExperts + [.init(.q4_k, .notFalcon)],
      down: [.init(.q4_k, .firstPart(8)), .init(.q4_k, .eightExperts, .scattered)]),
    Mix(name: "iq3_s", fileType: 26, base: .blocks(.iq3_s), value: [.init(.q4_k, .sharedHeads)], attentionOutput: eightExperts),
    Mix(
      name: "iq3_xs", fileType: 22, base: .blocks(.iq3_s), value: [.init(.q4_k, .sharedHeads)], query: [.init(.iq3_xxs)],
      key: [.init(.iq3_xxs)], attentionOutput: eightExperts, gateAndUp: [.init(.iq3_xxs, .middle)]),
    Mix(
      name: "iq3_xxs", fileType: 23, base: .blocks(.iq3_xxs), output: .q5_k, embedding: .iq3_s,
      value: [.init(.q4_k, .sharedHeads), .init(.iq3_s, .noImportance)], query: [.init(.iq2_s)], key: [.init(.iq2_s)],
      attentionOutput: eightExperts + [.init(.iq3_s, .notFalcon)],
      down: [.init(.q4_k, .firstPart(8), .noImportance), .init(.q3_k, .noImportance)]),
    Mix(
      name: "q2_k", fileType: 10, base: .blocks(.q2_k), value: [.init(.q4_k, .sharedHeads), .init(.q3_k)],
      attentionOutput: eightExperts + [.init(.q3_k, .notFalcon)], down: [.init(.q3_k)]),
    Mix(
      name: "q2_k_s", fileType: 21, base: .blocks(.q2_k), value: [.init(.q4_k, .sharedHeads)], down: [.init(.q4_k, .firstPart(8))],
      importantSchemes: [BlockType.q2_k.schemeName]),
    Mix(name: "q2_0", fileType: 41, base: .blocks(.q2_0), embedding: .q4_k),
    Mix(name: "tq2_0", fileType: 37, base: .blocks(.tq2_0), embedding: .q4_k),
    Mix(name: "tq1_0", fileType: 36, base: .blocks(.tq1_0), embedding: .q4_k),
    Mix(name: "q1_0", fileType: 40, base: .blocks(.q1_0)),
    small("iq2_m", fileType: 29, base: .iq2_s, more: .iq3_s, attentionOutput: .iq3_s),
    small("iq2_s", fileType: 28, base: .iq2_xs, more: .iq3_s, attentionOutput: .iq3_s),
    small("iq2_xs", fileType: 20, base: .iq2_xs, more: .q2_k),
    small("iq2_xxs", fileType: 19, base: .iq2_xxs, more: .q2_k),
    small("iq1_m", fileType: 31, base: .iq1_m, more: .q2_k, attentionOutput: .iq2_xxs),
    small("iq1_s", fileType: 24, base: .iq1_s, more: .q2_k, attentionOutput: .iq2_xxs),
  ]

  private static let eightExperts = [MixRule(.q5_k, .eightExperts, .notFalcon)]

  /// A mix of about two bits or less.
  /// - Parameter more: type of embeddings, values and the first down projections.
  private static func small(_ name: String, fileType: UInt32, base: BlockType, more: BlockType, attentionOutput: BlockType? = nil) -> Mix {
    Mix(
      name: name, fileType: fileType, base: .blocks(base), output: .q5_k, embedding: more,
      value: [.init(.q4_k, .sharedHeads), .init(.q4_k, .severalExperts), .init(more)], key: [.init(.q4_k, .eightExperts)],
      attentionOutput: [.init(.q5_k, .eightExperts)] + (attentionOutput.map { [.init($0)] } ?? []),
      down: [.init(more, .firstPart(8))], sparesSmallMatrices: false)
  }
}
