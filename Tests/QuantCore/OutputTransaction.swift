import QuantCore
import QuantPlatform
import TestSupport
import Testing

private typealias Layout = OutputLayout

/// A file of 64 bytes: 16 of header, then two tensors of 24 and 20 bytes, and padding.
private let fileLayout = Layout(
  isFolder: false, files: [.init(name: "", size: 64, literals: [(0, Array("HEADER, 16 bytes".utf8))])],
  placements: [
    .init(tensor: 0, part: 0, file: 0, offset: 16, byteCount: 24), .init(tensor: 1, part: 0, file: 0, offset: 40, byteCount: 20),
  ])

private let folderLayout = Layout(
  isFolder: true,
  files: [.init(name: "config.json", size: 2, literals: [(0, Array("{}".utf8))]), .init(name: "model.safetensors", size: 8, literals: [])],
  placements: [.init(tensor: 0, part: 0, file: 1, offset: 0, byteCount: 8)], earlierNames: ["tokenizer.json", "*.safetensors"])

private func fill(_ transaction: OutputTransaction) throws {
  for placement in transaction.layout.placements {
    for offset in stride(from: 0, to: placement.byteCount, by: 7) {
      let bytes = (offset..<min(offset + 7, placement.byteCount)).map { UInt8(placement.tensor * 100 + $0) }
      try bytes.withUnsafeBytes { try transaction.write(file: placement.file, offset: placement.offset + offset, bytes: $0) }
    }
  }
}

private func failure(_ body: () throws -> Void) -> Failure? {
  do { try body() } catch { return error as? Failure }
  return nil
}

/// Names in a folder, hidden ones included.
private func names(_ folder: String) -> [String] {
  guard let directory = opendir(folder) else { return [] }
  defer { closedir(directory) }
  var result: [String] = []
  while let entry = readdir(directory) {
    let name = withUnsafePointer(to: entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != "." && name != ".." { result.append(name) }
  }
  return result.sorted()
}

@Test func committedFileHoldsHeaderTensorsAndZeroPadding() throws {
  let folder = TemporaryFolder()
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: [])
  #expect(names(folder.path).count == 1 && names(folder.path)[0].hasPrefix(".out.qc-"))
  try fill(transaction)
  try transaction.commit()
  let expected = Array("HEADER, 16 bytes".utf8) + (0..<24).map { UInt8($0) } + (100..<120).map { UInt8($0) } + [0, 0, 0, 0]
  #expect(readFile(folder.file("out")) == expected)
  #expect(names(folder.path) == ["out"])
}

@Test func committedFolderAppearsWhole() throws {
  let folder = TemporaryFolder()
  let transaction = try OutputTransaction(layout: folderLayout, target: folder.file("out/"), force: false, inputs: [])
  try fill(transaction)
  #expect(access(folder.file("out"), F_OK) != 0)
  try transaction.commit()
  #expect(names(folder.path) == ["out"])
  #expect(names(folder.file("out")) == ["config.json", "model.safetensors"])
  #expect(readFile(folder.file("out/model.safetensors")) == [0, 1, 2, 3, 4, 5, 6, 7])
}

@Test func abandonedTransactionLeavesNothing() throws {
  let folder = TemporaryFolder()
  for layout in [fileLayout, folderLayout] {
    do {
      let transaction = try OutputTransaction(layout: layout, target: folder.file("out"), force: false, inputs: [])
      try fill(transaction)
    }
    #expect(names(folder.path) == [])
  }
}

@Test func incompleteOutputIsNotCommitted() throws {
  let folder = TemporaryFolder()
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: [])
  #expect(failure { try transaction.commit() }?.id == "output.incomplete")
  transaction.cancel()
  #expect(names(folder.path) == [])
  #expect(failure { try fill(transaction) }?.id == "output.over")
}

@Test func writesOutsideOrOutOfOrderAreRefused() throws {
  let folder = TemporaryFolder()
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: [])
  func write(_ file: Int, _ offset: Int, _ count: Int) -> String? {
    failure {
      try [UInt8](repeating: 1, count: count).withUnsafeBytes { try transaction.write(file: file, offset: offset, bytes: $0) }
    }?.id
  }
  #expect(write(0, 0, 4) == "output.outside")
  #expect(write(1, 16, 4) == "output.outside")
  #expect(write(0, 60, 4) == "output.outside")
  #expect(write(0, 20, 4) == "output.order")
  #expect(write(0, 16, 25) == "output.order")
  #expect(write(0, 16, 24) == nil)
}

@Test func bytesThatChangedOnTheDiskAreNoticed() throws {
  let folder = TemporaryFolder()
  for offset in [3, 20, 59] {
    let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: [])
    try fill(transaction)
    let partial = try #require(names(folder.path).first)
    let descriptor = open(folder.file(partial + "/output"), O_WRONLY)
    var wrong: UInt8 = 0xff
    #expect(pwrite(descriptor, &wrong, 1, off_t(offset)) == 1)
    close(descriptor)
    let found = failure { try transaction.commit() }
    #expect(found?.id == "io.read-back")
    #expect(found?.kind == .io)
    transaction.cancel()
    #expect(names(folder.path) == [])
  }
}

@Test func existingTargetIsReplacedOnlyByForce() throws {
  let folder = TemporaryFolder()
  writeFile(folder.file("out"), [1])
  let refused = failure { _ = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: []) }
  #expect(refused?.kind == .cannotCreate)
  #expect(refused?.remedy?.description.contains("'force'") == true)
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: true, inputs: [])
  try fill(transaction)
  #expect(readFile(folder.file("out")) == [1])
  try transaction.commit()
  #expect(readFile(folder.file("out")).count == 64)
  #expect(names(folder.path) == ["out"])
}

@Test func existingFolderIsSwappedAndRemoved() throws {
  let folder = TemporaryFolder()
  mkdir(folder.file("out"), 0o777)
  writeFile(folder.file("out/old.safetensors"), [1])
  let transaction = try OutputTransaction(layout: folderLayout, target: folder.file("out"), force: true, inputs: [])
  try fill(transaction)
  #expect(names(folder.file("out")) == ["old.safetensors"])
  try transaction.commit()
  #expect(names(folder.file("out")) == ["config.json", "model.safetensors"])
  #expect(names(folder.path) == ["out"])
}

@Test func folderWithFoldersInsideIsNeverReplaced() {
  let folder = TemporaryFolder()
  mkdir(folder.file("out"), 0o777)
  mkdir(folder.file("out/precious"), 0o777)
  let refused = failure { _ = try OutputTransaction(layout: folderLayout, target: folder.file("out"), force: true, inputs: []) }
  #expect(refused?.id == "output.not-flat")
  let kind = failure { _ = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: true, inputs: []) }
  #expect(kind?.id == "output.kind")
}

@Test func folderWithAForeignFileIsNeverReplaced() throws {
  let folder = TemporaryFolder()
  mkdir(folder.file("out"), 0o777)
  let own = ["config.json", "tokenizer.json", "a.safetensors"]
  for name in own { writeFile(folder.file("out/" + name), [1]) }
  for foreign in ["thesis.txt", "safetensors", "config.json.bak", ".hidden"] {
    writeFile(folder.file("out/" + foreign), [1])
    let refused = failure { _ = try OutputTransaction(layout: folderLayout, target: folder.file("out"), force: true, inputs: []) }
    #expect(refused?.id == "output.foreign" && refused?.message.contains("'\(foreign)'") == true, "\(foreign)")
    #expect(names(folder.file("out")) == (own + [foreign]).sorted())
    unlink(folder.file("out/" + foreign))
  }
  // One that appears while the output is being written is noticed too.
  let transaction = try OutputTransaction(layout: folderLayout, target: folder.file("out"), force: true, inputs: [])
  try fill(transaction)
  writeFile(folder.file("out/thesis.txt"), [1])
  #expect(failure { try transaction.commit() }?.id == "output.foreign")
  transaction.cancel()
  #expect(names(folder.file("out")) == (own + ["thesis.txt"]).sorted())
}

@Test func emptyFolderCountsAsMissing() throws {
  let folder = TemporaryFolder()
  mkdir(folder.file("out"), 0o700)
  let transaction = try OutputTransaction(layout: folderLayout, target: folder.file("out"), force: false, inputs: [])
  try fill(transaction)
  try transaction.commit()
  #expect(names(folder.file("out")) == ["config.json", "model.safetensors"])
  #expect(names(folder.path) == ["out"])
  #expect(permissions(folder.file("out")) == 0o700)
}

@Test func emptyFolderThatIsFilledMeanwhileIsLeftAlone() throws {
  let folder = TemporaryFolder()
  mkdir(folder.file("out"), 0o777)
  let transaction = try OutputTransaction(layout: folderLayout, target: folder.file("out"), force: false, inputs: [])
  try fill(transaction)
  writeFile(folder.file("out/config.json"), [7])
  #expect(failure { try transaction.commit() }?.id == "output.exists")
  #expect(readFile(folder.file("out/config.json")) == [7])
}

/// Pipes, sockets, devices and links to them, with and without `--force`.
@Test func specialFilesAreNeverReplaced() throws {
  let folder = TemporaryFolder()
  mkfifo(folder.file("pipe"), 0o666)
  symlink("pipe", folder.file("to-pipe"))
  symlink("/dev/null", folder.file("to-device"))
  for target in [folder.file("pipe"), folder.file("to-pipe"), folder.file("to-device"), "/dev/null", "/dev/stdout"] {
    for (layout, force) in [(fileLayout, true), (fileLayout, false), (folderLayout, true)] {
      let refused = failure { _ = try OutputTransaction(layout: layout, target: target, force: force, inputs: []) }
      #expect(refused?.id == "output.special" && refused?.kind == .cannotCreate, "\(target)")
    }
  }
  // One that replaces the file in the meantime.
  writeFile(folder.file("out"), [1])
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: true, inputs: [])
  try fill(transaction)
  unlink(folder.file("out"))
  mkfifo(folder.file("out"), 0o666)
  #expect(failure { try transaction.commit() }?.id == "output.special")
  var status = stat()
  #expect(lstat(folder.file("out"), &status) == 0 && status.st_mode & S_IFMT == S_IFIFO)
}

/// Links to a file, to a folder and to nothing, before the run and put in the output's place during it.
@Test func linksAreNeitherFollowedNorReplaced() throws {
  let folder = TemporaryFolder()
  writeFile(folder.file("elsewhere"), [1])
  mkdir(folder.file("other"), 0o777)
  for (place, layout) in [("elsewhere", fileLayout), ("nowhere", fileLayout), ("other", folderLayout)] {
    symlink(place, folder.file("out"))
    for force in [true, false] {
      let refused = failure { _ = try OutputTransaction(layout: layout, target: folder.file("out"), force: force, inputs: []) }
      #expect(refused?.id == "output.link" && refused?.kind == .cannotCreate, "\(place)")
    }
    unlink(folder.file("out"))
    let transaction = try OutputTransaction(layout: layout, target: folder.file("out"), force: true, inputs: [])
    try fill(transaction)
    symlink(place, folder.file("out"))
    #expect(failure { try transaction.commit() }?.id == "output.link")
    transaction.cancel()
    unlink(folder.file("out"))
  }
  #expect(readFile(folder.file("elsewhere")) == [1] && names(folder.file("other")) == [])
}

/// Whatever takes the place of the work folder while it is being written to: the output is what was written.
@Test func aFolderInThePlaceOfTheWorkFolderIsLeftAlone() throws {
  let folder = TemporaryFolder()
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: [])
  let partial = try #require(names(folder.path).first { $0.hasPrefix(".") })
  rename(folder.file(partial), folder.file("moved"))
  mkdir(folder.file(partial), 0o777)
  writeFile(folder.file(partial + "/output"), [6])
  try fill(transaction)
  try transaction.commit()
  #expect(readFile(folder.file("out")).count == 64)
  #expect(readFile(folder.file(partial + "/output")) == [6])
}

private func permissions(_ path: String) -> mode_t {
  var status = stat()
  return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
}

@Test func replacementsKeepPermissions() throws {
  let folder = TemporaryFolder()
  for mode: mode_t in [0o600, 0o640, 0o444] {
    writeFile(folder.file("out"), [1])
    chmod(folder.file("out"), mode)
    let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: true, inputs: [])
    let partial = try #require(names(folder.path).first { $0.hasPrefix(".") })
    #expect(permissions(folder.file(partial + "/output")) == mode | 0o600, "permissions hold while it is being written")
    try fill(transaction)
    try transaction.commit()
    #expect(permissions(folder.file("out")) == mode)
    unlink(folder.file("out"))
  }
  mkdir(folder.file("model"), 0o700)
  writeFile(folder.file("model/config.json"), [1])
  chmod(folder.file("model/config.json"), 0o640)
  let transaction = try OutputTransaction(layout: folderLayout, target: folder.file("model"), force: true, inputs: [])
  try fill(transaction)
  try transaction.commit()
  #expect(permissions(folder.file("model")) == 0o700 && permissions(folder.file("model/config.json")) == 0o640)
}

@Test func targetThatAppearsMeanwhileIsNotOverwritten() throws {
  let folder = TemporaryFolder()
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file("out"), force: false, inputs: [])
  try fill(transaction)
  writeFile(folder.file("out"), [7])
  #expect(failure { try transaction.commit() }?.id == "output.exists")
  transaction.cancel()
  #expect(readFile(folder.file("out")) == [7])
  #expect(names(folder.path) == ["out"])
}

@Test func inputIsNeverTheTargetWhateverItsName() throws {
  let folder = TemporaryFolder()
  mkdir(folder.file("model"), 0o777)
  mkdir(folder.file("model/deep"), 0o777)
  let input = folder.file("model/deep/in.gguf")
  writeFile(input, [1, 2, 3])
  link(input, folder.file("hard.gguf"))
  symlink(input, folder.file("soft.gguf"))
  symlink(folder.file("model"), folder.file("linked"))
  for target in [input, folder.file("hard.gguf"), folder.file("soft.gguf"), folder.file("linked/deep/in.gguf")] {
    let refused = failure { _ = try OutputTransaction(layout: fileLayout, target: target, force: true, inputs: [input]) }
    #expect(refused?.id == "output.is-input", "\(target)")
  }
  for target in [folder.file("model"), folder.file("model/deep"), folder.file("linked/deep")] {
    let refused = failure { _ = try OutputTransaction(layout: folderLayout, target: target, force: true, inputs: [input]) }
    #expect(refused?.id == "output.is-input", "\(target)")
  }
  #expect(readFile(input) == [1, 2, 3])
}

@Test func missingParentIsNamed() {
  let folder = TemporaryFolder()
  let refused = failure { _ = try OutputTransaction(layout: fileLayout, target: folder.file("no/out"), force: false, inputs: []) }
  #expect(refused?.id == "output.parent")
  #expect(refused?.message.contains("/no") == true)
}

@Test func readOnlyFolderIsRefused() {
  // Root passes every permission check, except for the kernel's own read-only files.
  let target = geteuid() == 0 ? "/proc/sys/qconvert-test" : "/qconvert-test"
  let refused = failure { _ = try OutputTransaction(layout: fileLayout, target: target, force: false, inputs: []) }
  #expect(refused?.kind == .cannotCreate)
}

@Test func diskWithoutRoomIsRefusedBeforeAnythingIsWritten() {
  // More than any disk has, and less than the largest size that the kernel accepts.
  let size = 1 << 50
  let layout = Layout(isFolder: false, files: [.init(name: "", size: size, literals: [])], placements: [])
  let folder = TemporaryFolder()
  let refused = failure { _ = try OutputTransaction(layout: layout, target: folder.file("out"), force: false, inputs: []) }
  #expect(refused?.kind == .io)
  #expect(refused?.id == "io.disk-full")
  #expect(refused?.message.contains("\(size) bytes") == true)
  #expect(names(folder.path) == [])
}

@Test func smallFileSystemFillsUpCleanly() {
  let folder = TemporaryFolder()
  guard geteuid() == 0, mount("tmpfs", folder.path, "tmpfs", 0, "size=64k") == 0 else {
    print("skipped: \(#function) needs permission to mount a file system")
    return
  }
  defer { umount(folder.path) }
  let layout = Layout(
    isFolder: true,
    files: [.init(name: "a", size: 16384, literals: []), .init(name: "b", size: 1 << 20, literals: [])], placements: [])
  let refused = failure { _ = try OutputTransaction(layout: layout, target: folder.file("out"), force: false, inputs: []) }
  #expect(refused?.id == "io.disk-full")
  #expect(names(folder.path) == [])
}

@Test func longNamesFit() throws {
  let folder = TemporaryFolder()
  let name = String(repeating: "n", count: 255)
  let transaction = try OutputTransaction(layout: fileLayout, target: folder.file(name), force: false, inputs: [])
  try fill(transaction)
  try transaction.commit()
  #expect(names(folder.path) == [name])
}
