import FolderKit
import HuggingFace
import PyTorch
import QuantCore
import TestSupport
import Testing

/// Files that PyTorch wrote, and hostile ones (Tests/Fixtures/pytorch/make.py).
@Suite struct SavedFileTests {
  private static let good = [
    "model", "protocol-4", "protocol-5", "types", "newer-types", "views", "tied", "parameters", "training", "many",
  ]

  @Test(arguments: good) func tensorsAreThoseThatPyTorchSaved(_ name: String) throws {
    let expected = try SafetensorsFormat.open(SharedData.fixture("pytorch/expected.safetensors"), options: OpenOptions())
    let path = SharedData.fixture("pytorch/good/\(name).bin")
    #expect(PyTorchFormat.recognises(path))
    let read = try PyTorchFormat.open(path, options: OpenOptions())
    let owed = expected.tensors.filter { $0.name.hasPrefix(name + "/") }
    #expect(!owed.isEmpty)
    for tensor in owed {
      let found = try #require(read[String(tensor.name.dropFirst(name.count + 1))], "\(tensor.name)")
      #expect(found.shape == tensor.shape && found.storage.schemeName == tensor.storage.schemeName, "\(tensor.name)")
      #expect(found.storage.isNumeric == tensor.storage.isNumeric)
      if tensor.storage.isNumeric {
        #expect(found.matrix() == tensor.matrix(), "\(tensor.name)")
        for row in 0..<found.rowCount {
          var one = [Float](repeating: .nan, count: found.rowLength)
          one.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { found.decode(rows: row..<row + 1, into: base) } }
          #expect(one == Array(tensor.matrix().values[row * found.rowLength..<(row + 1) * found.rowLength]), "\(tensor.name), row \(row)")
        }
      } else {
        #expect(found.storage.verbatim?.bytes == tensor.storage.verbatim?.bytes, "\(tensor.name)")
      }
    }
    if name != "many" { #expect(read.tensors.count == owed.count) }
  }

  /// Each case with its expected error, or `accept`.
  private static let answers: [(name: String, answer: String)] = {
    let text = String(decoding: readFile(SharedData.fixture("pytorch/answers.txt")), as: UTF8.self)
    return text.split(whereSeparator: \.isNewline).compactMap { line in
      let words = line.split(separator: " ").map(String.init)
      return words.count == 2 ? (words[0], words[1]) : nil
    }
  }()

  @Test func everyHostileFileGivesTheExpectedError() {
    #expect(SavedFileTests.answers.count > 80)
    for (name, answer) in SavedFileTests.answers {
      let path = SharedData.fixture("pytorch/bad/\(name).bin")
      do {
        let checkpoint = try PyTorchFormat.open(path, options: OpenOptions())
        #expect(answer == "accept", "\(name)")
        #expect(checkpoint["a"]?.matrix().values == [0, 1, 2, 3, 4, 5], "\(name)")
      } catch let failure as Failure {
        #expect(failure.id == answer, "\(name): \(failure)")
        #expect(failure.kind == .data || failure.kind == .unsupported, "\(name)")
        #expect(failure.file == path && failure.byteOffset != nil, "\(name): \(failure)")
        #expect(!failure.message.unicodeScalars.contains { $0.value < 0x20 }, "\(name): \(failure)")
      } catch {
        Issue.record("\(name): threw \(error)")
      }
    }
  }

  @Test func aRefusedNameIsReportedWithItsOffset() throws {
    let path = SharedData.fixture("pytorch/bad/system.bin")
    let failure = #expect(throws: Failure.self) { try PyTorchFormat.open(path, options: OpenOptions()) }
    #expect(failure?.message.contains("posix.system") == true)
    let bytes = readFile(path)
    let offset = try #require(failure?.byteOffset)
    #expect(Array(bytes[offset...].prefix(13)) == Array("cposix\nsystem".utf8))
  }

  /// A file cut anywhere, or with any byte changed, is refused or read, and never traps.
  @Test func damagedFilesNeverTrap() {
    let folder = TemporaryFolder()
    let changed = folder.file("changed.bin")
    for name in ["good/tied", "bad/accepted-deflated", "bad/accepted-wide"] {
      let bytes = readFile(SharedData.fixture("pytorch/\(name).bin"))
      for length in stride(from: 0, to: bytes.count, by: 7) {
        writeFile(changed, Array(bytes[0..<length]))
        #expect(throws: Failure.self, "\(name) cut to \(length)") { try PyTorchFormat.open(changed, options: OpenOptions()) }
      }
      for position in bytes.indices {
        for value: UInt8 in [0, 0x7f, 0xff, bytes[position] ^ 1] where value != bytes[position] {
          var copy = bytes
          copy[position] = value
          writeFile(changed, copy)
          let checkpoint = try? PyTorchFormat.open(changed, options: OpenOptions())
          for tensor in checkpoint?.tensors ?? [] where tensor.storage.isNumeric && tensor.elementCount < 1000 {
            #expect(tensor.matrix().values.count == tensor.elementCount)
          }
        }
      }
    }
  }
}
