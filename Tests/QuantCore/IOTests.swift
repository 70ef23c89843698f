import QuantCore
import QuantPlatform
import TestSupport
import Testing

@Suite struct IOTests {
  private func failure(_ body: () throws -> Void) -> Failure? {
    do {
      try body()
      return nil
    } catch {
      return error as? Failure
    }
  }

  @Test func mapsAFileAndKeepsItAliveThroughItsViews() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a")
    writeFile(path, [1, 2, 3, 4])
    let view = try MappedFile(path).contents
    #expect(view.bytes == [1, 2, 3, 4])
    #expect(view.slice(1..<3)?.bytes == [2, 3])
    #expect(view.slice(2..<5) == nil)
  }

  @Test func mapsAnEmptyFile() throws {
    let folder = TemporaryFolder()
    writeFile(folder.file("empty"), [])
    let file = try MappedFile(folder.file("empty"))
    #expect(file.count == 0)
    #expect(file.contents.bytes == [])
    #expect(!file.hasChanged())
  }

  @Test func refusesWhatIsNotARegularFileWithoutWaiting() {
    let folder = TemporaryFolder()
    mkfifo(folder.file("pipe"), 0o600)
    symlink("loop", folder.file("loop"))
    #expect(failure { _ = try MappedFile(folder.file("pipe")) }?.id == "input.not-a-file")
    #expect(failure { _ = try MappedFile(folder.path) }?.id == "input.not-a-file")
    #expect(failure { _ = try MappedFile("/dev/zero") }?.id == "input.not-a-file")
    #expect(failure { _ = try MappedFile(folder.file("loop")) }?.id == "input.symlink-loop")
    let missing = failure { _ = try MappedFile(folder.file("missing")) }
    #expect(missing?.id == "input.missing")
    #expect(missing?.kind == .noInput)
    #expect(missing?.file == folder.file("missing"))
  }

  @Test func noticesThatAFileGrewShrankOrWasReplaced() throws {
    let folder = TemporaryFolder()
    let path = folder.file("a")
    let changes = [
      "printf xx >> '\(path)'", "truncate -s 1 '\(path)'", "cp '\(path)' '\(path).b'; mv '\(path).b' '\(path)'", "rm '\(path)'",
    ]
    for change in changes {
      writeFile(path, [1, 2, 3])
      let file = try MappedFile(path)
      #expect(!file.hasChanged())
      #expect(system(change) == 0)
      #expect(file.hasChanged())
    }
  }

  @Test func readsSmallFilesWithinALimit() throws {
    let folder = TemporaryFolder()
    writeFile(folder.file("a"), [1, 2, 3])
    #expect(try Files.read(folder.file("a"), maximumBytes: 3) == [1, 2, 3])
    #expect(failure { _ = try Files.read(folder.file("a"), maximumBytes: 2) }?.id == "limit.file-size")
  }

  @Test func listsFoldersInByteOrder() throws {
    let folder = TemporaryFolder()
    for name in ["b", "a", "B", "é"] { writeFile(folder.file(name), []) }
    #expect(try Files.list(folder.path) == ["B", "a", "b", "é"])
    #expect(failure { _ = try Files.list(folder.file("a")) }?.id == "input.not-a-folder")
    #expect(failure { _ = try Files.list(folder.file("x")) }?.id == "input.missing")
    #expect(Files.isFolder(folder.path) && !Files.isFile(folder.path))
    #expect(Files.isFile(folder.file("a")) && !Files.isFolder(folder.file("a")))
  }

  @Test func takesPathsApart() {
    #expect(Files.join("a", "b") == "a/b")
    #expect(Files.join("a/", "b") == "a/b")
    #expect(Files.lastComponent("/a/b/") == "b")
    #expect(Files.folder(of: "/a/b") == "/a")
    #expect(Files.folder(of: "/a") == "/")
    #expect(Files.folder(of: "a/b/") == "a")
    #expect(Files.folder(of: "a") == ".")
    #expect(Files.isPlainName("model.safetensors"))
    for name in ["", ".", "..", "a/b", "/a", "a\0"] { #expect(!Files.isPlainName(name)) }
  }

  @Test func readsLittleEndianValuesAndStopsAtTheEnd() throws {
    var reader = ByteReader(ByteView([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]))
    #expect(try reader.u8() == 1)
    #expect(try reader.u16() == 0x0302)
    #expect(try reader.u32() == 0x0706_0504)
    #expect(reader.remaining == 8)
    #expect(try reader.u64() == 0x0f0e_0d0c_0b0a_0908)
    let end = failure { _ = try reader.u8() }
    #expect(end?.id == "input.truncated")
    #expect(end?.byteOffset == 15)
    let own = failure { _ = try reader.view(-1, Failure(.data, "own", "short", byteOffset: 3)) }
    #expect(own?.id == "own")
    #expect(own?.byteOffset == 3)
  }

  @Test func arithmeticOnFileNumbersNeverTraps() {
    #expect(Checked.product(of: [3, 4, 5]) == 60)
    #expect(Checked.product(of: []) == 1)
    #expect(Checked.product(of: [Int.max, 2, 0]) == nil)
    #expect(Checked.product(of: [-1, 2]) == nil)
    #expect(Checked.product(Int.max, 2) == nil)
    #expect(Checked.sum(Int.max, 1) == nil)
    #expect(Checked.aligned(33, to: 32) == 64)
    #expect(Checked.aligned(64, to: 32) == 64)
    #expect(Checked.aligned(Int.max, to: 32) == nil)
  }
}
