import QuantCore
import TestSupport
import Testing

@testable import GGUF

/// What every block type does with weights, importance and rows that it cannot store: it refuses them and says where they are.
@Suite struct ProblemInputTests {
  private let folder = TemporaryFolder()
  private let registry: Registry
  private static let rows = 3, layer = "blk.0.ffn_up.weight"

  /// Every block type with llama.cpp's rule.
  static let types = BlockSamples.allSchemes.map { $0.name } + GGUFGrids.schemeNames
  /// Those that always need importance.
  static let important = types.filter { need($0) != .none }

  static func need(_ type: String) -> ImportanceNeed { BlockType.named(type)?.importanceNeed ?? .none }

  init() throws {
    registry = try Registry([
      GGUFFormat.self, GGUFBlocks.self, GGUFGrids.self, GGUFMixes.self, FloatSchemes.self, PlainPacking.self, GGUFBlockPacking.self,
      ImportanceMatrix.self, LegacyImportanceMatrix.self,
    ])
  }

  /// Converts a file with one layer to one type.
  /// - Parameters:
  ///   - importance: of its columns; empty: none is given.
  ///   - change: makes the error.
  private func convert(
    _ type: String, columns: Int = 512, tensor: String = layer, importance: [Float]? = nil, change: (inout [Float]) -> Void = { _ in }
  ) throws -> [Float] {
    var random = BlockSamples.Generator(state: 3)
    var values = (0..<ProblemInputTests.rows * columns).map { _ in random.gaussian() * 0.05 }
    change(&values)
    var file = GGUFBytes()
    // An architecture without a family: the name alone decides.
    file.pairs = []
    file.pair("general.architecture", 8, GGUFBytes.string("nobodys"))
    file.floats(tensor, [UInt64(columns), UInt64(ProblemInputTests.rows)], values)
    writeFile(folder.file("in.gguf"), file.file)
    var request = ConversionRequest(input: folder.file("in.gguf"), output: folder.file("out.gguf"))
    // The mix of this name consists mostly of another type.
    request.scheme = type == "iq2_s" ? "iq2_m" : type
    request.isPure = true
    request.force = true
    if let importance = importance ?? (ProblemInputTests.important.contains(type) ? [Float](repeating: 1, count: columns) : nil),
      !importance.isEmpty
    {
      let entries = [tensor: Importance.Entry(meanSquares: importance, tokens: [64])]
      writeFile(folder.file("importance.gguf"), try ImportanceMatrix.bytes(Importance(entries: entries)))
      request.importancePath = folder.file("importance.gguf")
    }
    try Converter(registry).run(Planner(registry).plan(request), progress: SilentProgress())
    return try #require(Opening(registry).open(folder.file("out.gguf"))[tensor]).matrix().values
  }

  private func refusal(
    _ type: String, columns: Int = 512, tensor: String = layer, importance: [Float]? = nil, change: (inout [Float]) -> Void = { _ in }
  ) -> Failure? {
    #expect(throws: Failure.self, "\(type)") {
      try convert(type, columns: columns, tensor: tensor, importance: importance, change: change)
    }
  }

  // MARK: - Weights

  @Test(arguments: types) func aWeightThatIsNotFiniteIsNamedByItsPlace(type: String) {
    for bad in [Float.nan, -.infinity] {
      let failure = refusal(type) { $0[512 + 301] = bad }
      #expect(failure?.id == "data.nonfinite" && failure?.tensor == ProblemInputTests.layer)
      #expect(failure?.message == "the weight in row 1, column 301 is \(bad)")
    }
  }

  /// One weight too large for any scale, from where squares overflow to the largest float; then a whole row of such weights.
  /// Weights that are tiny compared with it may become zero, as in llama.cpp.
  @Test(arguments: types) func aRowOfNearlyNothingIsStoredBesideALargeOne(type: String) throws {
    do {
      let stored = try convert(type) { values in
        for i in 0..<512 {
          values[i] *= 3e5
          values[512 + i] *= 1e-13
        }
      }
      #expect(stored[512..<1024].allSatisfy { $0.magnitude < 1e-3 })
    } catch let failure as Failure {
      // Some types cannot hold the large row either.
      #expect(failure.id == "data.overflow" && failure.message.hasPrefix("the weight in row 0,"), "\(failure.message)")
    }
  }

  @Test(arguments: types) func aWeightBeyondAllScalesIsNamedByItsPlaceOrStored(type: String) throws {
    for (magnitude, isWholeRow) in [1e9, 1e20, 3e38].flatMap({ [(Float($0), false), (Float($0), true)] }) {
      func change(_ values: inout [Float]) {
        if isWholeRow {
          for i in 512..<1024 { values[i] *= magnitude }
        } else {
          values[512 + 301] = -magnitude
        }
      }
      do {
        let stored = try convert(type, change: change)
        #expect(stored.allSatisfy { $0.isFinite }, "\(type), \(magnitude)")
        let largest = stored[512..<1024].reduce(0) { max($0, $1.magnitude) }
        #expect(largest > magnitude / 200, "\(type), \(magnitude), whole row: \(isWholeRow)")
      } catch let failure as Failure {
        #expect(failure.id == "data.overflow" && failure.tensor == ProblemInputTests.layer, "\(type): \(failure)")
        #expect(failure.message.hasPrefix("the weight in row 1, column "), "\(type): \(failure.message)")
        if !isWholeRow { #expect(failure.message.contains("column 301 "), "\(type): \(failure.message)") }
        #expect(failure.remedy?.description.contains("'tensor' '\(ProblemInputTests.layer)=bf16'") == true)
      }
    }
  }

  // MARK: - Rows

  /// As in llama-quantize's `tensor_type_fallback`.
  @Test func rowsThatNoBlockDividesFallBackOrAreRefusedWithARemedy() throws {
    let fallbacks: [(from: [String], to: String)] = [
      (["iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s", "iq4_xs"], "iq4_nl"),
      (["q2_k", "q3_k", "tq1_0", "tq2_0", "q2_0"], "q4_0"), (["q4_k"], "q5_0"), (["q5_k"], "q5_1"), (["q6_k"], "q8_0"),
      (["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "mxfp4-ggml"], "f16"),
    ]
    let none = ["q1_0", "nvfp4-ggml"]
    #expect(Set(fallbacks.flatMap { $0.from } + none) == Set(ProblemInputTests.types))
    func stored(_ type: String, columns: Int) throws -> String? {
      _ = try convert(type, columns: columns, importance: [])
      return try Opening(registry).open(folder.file("out.gguf"))[ProblemInputTests.layer]?.storage.schemeName
    }
    for (types, fallback) in fallbacks {
      for type in types {
        // One length that is a multiple of 32, and one that is not.
        if fallback != "f16" { #expect(try stored(type, columns: 160) == fallback, "\(type)") }
        // Where nothing is left to quantize, nothing is written.
        let failure = refusal(type, columns: 100, importance: [])
        #expect(failure?.id == "scheme.no-layer" && failure?.remedy != nil, "\(type)")
      }
    }
    for type in none {
      let failure = refusal(type, columns: 160, importance: [])
      #expect(failure?.id == "scheme.row-length" && failure?.tensor == ProblemInputTests.layer)
      #expect(failure?.message.hasPrefix("rows of 160 weights cannot be stored as \(type), whose group size is ") == true)
      #expect(failure?.remedy?.description.contains("'tensor' '\(ProblemInputTests.layer)=SCHEME'") == true)
      #expect(failure?.remedy?.description.contains("q4_0, q8_0, f16") == true)
    }
  }

  // MARK: - Importance

  @Test(arguments: types) func importanceThatCannotWeighAnythingIsRefused(type: String) {
    for bad in [Float.nan, .infinity, -1] {
      var importance = [Float](repeating: 1, count: 512)
      importance[77] = bad
      let failure = refusal(type, importance: importance)
      #expect(failure?.id == "importance.value" && failure?.tensor == ProblemInputTests.layer)
      #expect(failure?.message == "the mean square of channel 77 is \(bad)")
      #expect(failure?.file == folder.file("importance.gguf"))
    }
  }

  @Test(arguments: types) func importanceOfAnotherWidthIsRefused(type: String) {
    for count in [511, 1024] {
      let failure = refusal(type, importance: [Float](repeating: 1, count: count))
      #expect(failure?.id == "importance.length" && failure?.tensor == ProblemInputTests.layer)
      #expect(failure?.message == "has \(count) mean squares for rows of 512 weights")
    }
  }

  /// Channels without any input, up to all of them, weigh nothing: the stored values must still be finite.
  @Test(arguments: types) func channelsThatWeighNothingAreRoundedAllTheSame(type: String) throws {
    let plain = try convert(type, importance: [Float](repeating: 1, count: 512))
    for silent in [0..<1, 128..<384, 0..<512] {
      var importance = [Float](repeating: 1, count: 512)
      for i in silent { importance[i] = 0 }
      let stored = try convert(type, importance: importance)
      #expect(stored.allSatisfy { $0.isFinite }, "\(type), \(silent)")
      #expect(silent.count == 512 || stored.contains { $0 != 0 }, "\(type), \(silent)")
      // Blocks of other columns are not affected.
      if silent == 0..<1 { #expect(stored[256..<512].elementsEqual(plain[256..<512]) || type == "nvfp4-ggml", "\(type)") }
    }
  }

  @Test(arguments: types) func aTypeThatNeedsImportanceIsRefusedWithout(type: String) throws {
    let needs = ProblemInputTests.need(type)
    for (tensor, isLayer) in [(ProblemInputTests.layer, true), ("token_embd.weight", false), ("output.weight", false)] {
      if needs == .none || needs == .layers && !isLayer {
        #expect(try convert(type, tensor: tensor, importance: []).contains { $0 != 0 }, "\(type), \(tensor)")
      } else {
        let failure = refusal(type, tensor: tensor, importance: [])
        #expect(failure?.id == "importance.required" && failure?.tensor == tensor, "\(type), \(tensor)")
        #expect(failure?.remedy?.description.hasPrefix("Give 'importance' FILE") == true)
      }
    }
  }
}
