import GGUF
import QuantCore
import TestSupport
import Testing

/// Importance files. Tests/Interop checks that llama.cpp reads what is written here, and that what it writes is read here.
@Suite struct ImportanceTests {
  private let folder = TemporaryFolder()
  private let sample = Importance(
    entries: [
      "blk.0.attn_q.weight": .init(meanSquares: [0.5, 0, 2, 1], tokens: [1024]),
      "blk.0.ffn_up_exps.weight": .init(meanSquares: [1, 2, 3, 4, 1, 1], tokens: [512, 256, 0]),
    ], texts: ["a.txt"], windows: 2, context: 512)

  private func read(_ format: any ImportanceFormat.Type, _ bytes: [UInt8]) throws -> Importance {
    writeFile(folder.file("file"), bytes)
    return try format.read(folder.file("file"))
  }

  private func failure(_ format: any ImportanceFormat.Type, _ bytes: [UInt8]) -> Failure? {
    do { _ = try read(format, bytes) } catch { return error as? Failure }
    return nil
  }

  @Test func ggufFormKeepsEverything() throws {
    #expect(try read(ImportanceMatrix.self, ImportanceMatrix.bytes(sample)) == sample)
    #expect(ImportanceMatrix.recognises(folder.file("file")) && !LegacyImportanceMatrix.recognises(folder.file("file")))
  }

  @Test func legacyFormKeepsMeanSquares() throws {
    let found = try read(LegacyImportanceMatrix.self, LegacyImportanceMatrix.bytes(sample))
    #expect(found.entries.mapValues { $0.meanSquares } == sample.entries.mapValues { $0.meanSquares })
    #expect(found.texts == sample.texts && found.windows == 2)
    #expect(LegacyImportanceMatrix.recognises(folder.file("file")) && !ImportanceMatrix.recognises(folder.file("file")))
  }

  @Test func whatNoTokenReachedWeighsTheSameEverywhere() throws {
    var unseen = sample
    unseen.entries["blk.0.ffn_up_exps.weight"]?.meanSquares[4...5] = [7, 9]
    let found = try read(ImportanceMatrix.self, ImportanceMatrix.bytes(unseen))
    #expect(found.entries["blk.0.ffn_up_exps.weight"]?.meanSquares == [1, 2, 3, 4, 1, 1])
  }

  @Test func everyCutOffFileIsRefused() throws {
    let whole = try ImportanceMatrix.bytes(sample)
    // The padding after the last tensor may be missing.
    for count in 0..<whole.count - 32 { #expect(failure(ImportanceMatrix.self, Array(whole[..<count])) != nil, "\(count) bytes") }
    let legacy = try LegacyImportanceMatrix.bytes(sample)
    // The number of windows and the name of the text are optional.
    let trailer = 8 + "a.txt".utf8.count
    for count in 0..<legacy.count - trailer {
      #expect(failure(LegacyImportanceMatrix.self, Array(legacy[..<count]))?.id == "importance.entry", "\(count) bytes")
    }
  }

  @Test func hugeCountsAreRefusedBeforeAnythingIsAllocated() {
    let name: [UInt8] = [1, 0, 0, 0, 0x61]
    let huge: [UInt8] = [0xff, 0xff, 0xff, 0x7f]
    for bytes in [huge, [1, 0, 0, 0] + huge, [1, 0, 0, 0] + name + [1, 0, 0, 0] + huge, [1, 0, 0, 0] + name + huge + huge] {
      #expect(failure(LegacyImportanceMatrix.self, bytes + [0, 0])?.id == "importance.entry")
    }
  }

  @Test func valuesThatCannotWeighAnythingAreRefused() throws {
    let registry = try Registry([ImportanceMatrix.self, LegacyImportanceMatrix.self])
    for bad in [Float.nan, .infinity, -1] {
      var wrong = sample
      wrong.entries["blk.0.attn_q.weight"]?.meanSquares[2] = bad
      writeFile(folder.file("bad"), try ImportanceMatrix.bytes(wrong))
      let found = #expect(throws: Failure.self) { try registry.readImportance(folder.file("bad")) }
      #expect(found?.id == "importance.value" && found?.tensor == "blk.0.attn_q.weight")
    }
  }
}
