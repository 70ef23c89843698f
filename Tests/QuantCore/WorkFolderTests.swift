import QuantCore
import QuantPlatform
import TestSupport
import Testing

@testable import QuantBase
@testable import QuantConversion

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

  /// A run never changes the folder that the link leads to, or anything in it.
  @Test func aLinkInItsPlaceIsNotFollowed() throws {
    mkdir(folder.file("precious"), 0o777)
    for name in ["output", "journal", "thesis"] { writeFile(folder.file("precious/" + name), [1]) }
    let link = folder.file(".out.qc-partial")
    for target in [folder.file("precious"), "precious", "nowhere"] {
      symlink(target, link)
      let refused = #expect(throws: Failure.self) { try WorkFolder(for: folder.file("out")) }
      #expect(refused?.id == "output.work-link" && refused?.file == link && refused?.kind == .cannotCreate)
      WorkFolder.remove(link)
      #expect(try Files.list(folder.file("precious")) == ["journal", "output", "thesis"])
      #expect(OutputTarget.linkStatus(link) != nil)
      unlink(link)
    }
    writeFile(link, [1])
    #expect(#expect(throws: Failure.self) { try WorkFolder(for: folder.file("out")) }?.id == "output.create")
  }

  @Test func aLinkInThePlaceOfTheOutputIsNotFollowed() throws {
    mkdir(folder.file("precious"), 0o777)
    writeFile(folder.file("precious/config.json"), [1])
    let layout = OutputLayout(
      isFolder: true, files: [.init(name: "config.json", size: 2, literals: [(0, [2, 2])])], placements: [])
    let work = try WorkFolder(for: folder.file("out"), isKept: true)
    symlink(folder.file("precious"), work.output)
    let refused = #expect(throws: Failure.self) {
      try OutputTransaction(layout: layout, target: folder.file("out"), force: false, work: work, isKept: true)
    }
    #expect(refused?.id == "output.create")
    #expect(readFile(folder.file("precious/config.json")) == [1])
  }

  @Test func aLineWithoutItsEndDoesNotCount() throws {
    let lines = [
      #"{"run":{"scheme":"q4_0"}}"#,
      #"{"tensor":3,"name":"a","scheme":"q4_0","hashes":["000102030405060708090a0b0c0d0e0f"],"error":0.125,"seconds":1,"damping":null,"fallback":null}"#,
      #"{"block":0,"hidden":null,"notes":["n"],"tensors":[]}"#,
    ]
    let text = lines.flatMap { Journal.line($0) }
    // Every position at which a write can be interrupted.
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
        try dead.append(Journal.line(#"{"run":{}}"#) + Journal.line(line))
      }
      let found = #expect(throws: Failure.self) { try Journal.read(WorkFolder(for: folder.file("out"), isKept: true)) }
      #expect(found?.id == "resume.damaged", "\(line)")
    }
  }

  /// Every byte of a record is covered by its hash.
  @Test func aChangedRecordIsDamage() throws {
    let record = Journal.line(#"{"block":0,"hidden":null,"notes":["n"],"tensors":[]}"#)
    for place in record.indices.dropLast() {
      var changed = record
      changed[place] ^= 1
      if changed[place] == UInt8(ascii: "\n") { continue }
      do {
        let dead = try WorkFolder(for: folder.file("out"), isKept: true)
        try dead.clear()
        try dead.append(Journal.line(#"{"run":{}}"#) + changed)
      }
      let found = #expect(throws: Failure.self) { try Journal.read(WorkFolder(for: folder.file("out"), isKept: true)) }
      #expect(found?.id == "resume.damaged", "byte \(place)")
    }
  }

  /// The folder of another user, or one that others can write to, may hold anything.
  @Test func aFolderThatOthersCanWriteToIsRefused() throws {
    mkdir(folder.file(".out.qc-partial"), 0o777)
    chmod(folder.file(".out.qc-partial"), 0o777)
    #expect(#expect(throws: Failure.self) { try WorkFolder(for: folder.file("out")) }?.id == "output.work-foreign")
  }

  /// A run that was killed while it gave names: the next one finds the old output under its name.
  @Test func theOldOutputGetsItsNameBack() throws {
    do {
      let dead = try WorkFolder(for: folder.file("out"), isKept: true)
      mkdir(dead.output, 0o777)
      writeFile(dead.output + "/b", [2])
      writeFile(folder.file("a"), [1])
      #expect(dead.moveAside(folder.file("a")) == 0 && dead.moveAside(folder.file("absent")) == 0)
      link(dead.output + "/b", folder.file("b"))
    }
    let next = try WorkFolder(for: folder.file("out"), isKept: true)
    #expect(readFile(folder.file("a")) == [1])
    #expect(OutputTarget.linkStatus(folder.file("b")) == nil && readFile(next.output + "/b") == [2])
  }
}
