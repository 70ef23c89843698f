import FolderKit
import GGUF
import HuggingFace
import QuantCore
import QuantPlatform
import TestSupport
import Testing

/// Opens every malformed or borderline file of the collection in Fixtures/malformed and compares the answer with the expected one.
@Suite(.serialized) struct MalformedFileTests {
  /// An answer: an error id, or acceptance, possibly with a warning that contains a word.
  enum Answer: Equatable {
    case id(String)
    case accept
    case warn(String)
  }

  /// Cases and their answers, in the order of the collection's own table. Cases that a conversion refuses but that can be opened
  /// (no tensors at all, weights that are not finite) are accepted here.
  static func answers(_ table: String) -> [(name: String, answer: Answer)] {
    table.split(whereSeparator: \.isNewline).map { line in
      let words = line.split(separator: " ").map(String.init)
      let answer: Answer =
        switch words[1] {
        case "accept": .accept
        case "warn": .warn(words[2])
        default: .id(words[1])
        }
      return (words[0], answer)
    }
  }

  /// The folder with the generated files.
  private func generate() throws -> TemporaryFolder {
    let folder = TemporaryFolder()
    let script = SharedData.fixture("malformed/generate.py")
    try #require(system("cd '\(folder.path)' && python3 '\(script)' > /dev/null") == 0, "the generator failed")
    return folder
  }

  private func check(_ path: String, _ name: String, _ answer: Answer, _ open: (String) throws -> Checkpoint) {
    let clock = ContinuousClock()
    let start = clock.now
    var given: Answer
    do {
      let checkpoint = try open(path)
      given = .accept
      if case .warn(let word) = answer, checkpoint.warnings.contains(where: { $0.contains(word) }) { given = answer }
    } catch let failure as Failure {
      given = .id(failure.id)
      #expect(failure.kind == .data, "\(name): \(failure)")
      #expect(failure.file == path, "\(name): \(failure)")
      #expect(failure.byteOffset != nil, "\(name): \(failure)")
      #expect(!failure.message.isEmpty && !failure.message.unicodeScalars.contains { $0.value < 0x20 }, "\(name): \(failure)")
    } catch {
      Issue.record("\(name): threw \(error)")
      return
    }
    #expect(given == answer, "\(name)")
    let time = start.duration(to: clock.now)
    // Debug builds are slow, and users do not run them.
    #expect(time < .seconds(_isDebugAssertConfiguration() ? 20 : 1), "\(name) took \(time)")
  }

  @Test func everySafetensorsFileGetsTheAnswerItIsOwed() throws {
    let folder = try generate()
    let table = MalformedFileTests.answers(MalformedFileTests.safetensors)
    #expect(table.count == 77)
    for (name, answer) in table {
      check(folder.file("st/\(name).safetensors"), name, answer) { try SafetensorsFormat.open($0, options: OpenOptions()) }
    }
  }

  @Test func everyGGUFFileGetsTheAnswerItIsOwed() throws {
    let folder = try generate()
    let table = MalformedFileTests.answers(MalformedFileTests.gguf)
    #expect(table.count == 83)
    for (name, answer) in table {
      check(folder.file("gg/\(name).gguf"), name, answer) { try GGUFFormat.open($0, options: OpenOptions()) }
    }
  }

  @Test func tensorsOfAcceptedFilesCanBeDecoded() throws {
    let folder = try generate()
    for name in ["S00", "S46", "S74", "S75", "S76"] {
      let checkpoint = try SafetensorsFormat.open(folder.file("st/\(name).safetensors"), options: OpenOptions())
      for tensor in checkpoint.tensors { #expect(tensor.matrix().values.count == tensor.elementCount) }
    }
    for name in ["G00", "G47", "G71"] {
      let checkpoint = try GGUFFormat.open(folder.file("gg/\(name).gguf"), options: OpenOptions())
      for tensor in checkpoint.tensors { #expect(tensor.matrix().values.count == tensor.elementCount) }
    }
  }

  /// Files that are cut at any length are refused and never trap.
  @Test func filesCutAnywhereNeverTrap() throws {
    let folder = try generate()
    for (path, isGGUF) in [("st/S00.safetensors", false), ("gg/G00.gguf", true), ("gg/G79.gguf", true)] {
      let bytes = readFile(folder.file(path))
      let cut = folder.file("cut")
      for length in 0..<bytes.count {
        writeFile(cut, Array(bytes[0..<length]))
        #expect(throws: Failure.self, "\(path) cut to \(length)") {
          _ = try isGGUF ? GGUFFormat.open(cut, options: OpenOptions()) : SafetensorsFormat.open(cut, options: OpenOptions())
        }
      }
    }
  }

  /// Each byte of a valid file is replaced by a few others; no replacement makes opening or decoding trap.
  @Test func filesWithOneWrongByteNeverTrap() throws {
    let folder = try generate()
    let changed = folder.file("changed")
    for (path, isGGUF) in [("st/S60.safetensors", false), ("gg/G79.gguf", true), ("gg/G37.gguf", true)] {
      let bytes = readFile(folder.file(path))
      for position in bytes.indices {
        for value: UInt8 in [0, 1, 0x22, 0x5c, 0x7f, 0x80, 0xff, bytes[position] ^ 1, bytes[position] ^ 0x40] {
          var copy = bytes
          copy[position] = value
          writeFile(changed, copy)
          let checkpoint =
            isGGUF ? try? GGUFFormat.open(changed, options: OpenOptions()) : try? SafetensorsFormat.open(changed, options: OpenOptions())
          for tensor in checkpoint?.tensors ?? [] where tensor.storage.isNumeric {
            #expect(tensor.matrix().values.count == tensor.elementCount)
          }
        }
      }
    }
  }
}
