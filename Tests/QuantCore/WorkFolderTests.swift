import QuantPlatform
import TestSupport
import Testing

@testable import QuantCore

@Suite struct WorkFolderTests {
  private let folder = TemporaryFolder()

  @Test func aTargetBelongsToOneRunAtATime() throws {
    let first = try WorkFolder(for: folder.file("out"))
    let refused = #expect(throws: Failure.self) { try WorkFolder(for: folder.file("out")) }
    #expect(refused?.id == "output.busy")
    first.remove()
    #expect(try !WorkFolder(for: folder.file("out")).hasLeftovers)
  }

  @Test func whatADeadRunLeftIsFoundAndCleared() throws {
    do {
      let dead = try WorkFolder(for: folder.file("out"), isKept: true)
      mkdir(dead.output, 0o777)
      writeFile(dead.output + "/a", [1])
      try dead.append([1, 2])
    }
    let next = try WorkFolder(for: folder.file("out"))
    #expect(next.hasLeftovers && WorkFolder.exists(for: folder.file("out")))
    try next.clear()
    #expect(try Files.list(next.path) == ["journal"])
    #expect(readFile(next.journal).isEmpty)
    next.remove()
    #expect(!WorkFolder.exists(for: folder.file("out")))
  }

  @Test func aLineWithoutItsEndDoesNotCount() throws {
    let lines = [
      #"{"run":{"scheme":"q4_0"}}"#,
      #"{"tensor":3,"name":"a","scheme":"q4_0","hashes":["000102030405060708090a0b0c0d0e0f"],"error":0.125,"seconds":1,"damping":null,"fallback":null}"#,
      #"{"block":0,"hidden":null,"notes":["n"],"tensors":[]}"#,
    ]
    let text = Array((lines.joined(separator: "\n") + "\n").utf8)
    // Every place at which a write can be interrupted.
    for count in [0, 5, text.count - 1, text.count - 20, text.count] {
      do {
        let dead = try WorkFolder(for: folder.file("out"), isKept: true)
        try dead.clear()
        try dead.append(Array(text[..<count]))
      }
      let found = try Journal.read(WorkFolder(for: folder.file("out"), isKept: true))
      if count < 10 {
        #expect(found == nil)
      } else {
        #expect(found?.blocks.count == (count == text.count ? 1 : 0))
        #expect(found?.tensors[3]?.report.relativeError == 0.125)
        #expect(found?.tensors[3]?.hashes.first?.hexadecimal == "000102030405060708090a0b0c0d0e0f")
      }
    }
  }

  @Test func aWholeLineThatMakesNoSenseIsDamage() throws {
    for line in ["nonsense", #"{"block":1,"hidden":null,"notes":[],"tensors":[]}"#, #"{"tensor":-1}"#, "[]"] {
      do {
        let dead = try WorkFolder(for: folder.file("out"), isKept: true)
        try dead.clear()
        try dead.append(Array("{\"run\":{}}\n\(line)\n".utf8))
      }
      let found = #expect(throws: Failure.self) { try Journal.read(WorkFolder(for: folder.file("out"), isKept: true)) }
      #expect(found?.id == "resume.damaged", "\(line)")
    }
  }
}
