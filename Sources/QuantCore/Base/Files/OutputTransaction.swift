import CKernels
import QuantPlatform
import Synchronization

/// Writes an output completely, or not at all.
///
/// Everything goes to a work folder beside the target, and its space is reserved at the start. `commit` flushes it to disk,
/// reads it back, compares hashes, and only then gives it its final name. A transaction that is not committed removes its
/// work folder when it is released; an interrupt does the same (`InterruptCleanup`). One that can be resumed keeps it.
public final class OutputTransaction: Sendable {
  /// The path of the finished output.
  public let target: String
  /// What is written where.
  public let layout: OutputLayout
  let force: Bool
  let work: WorkFolder
  let state: Mutex<State>
  /// Whether the work folder is left if the run fails: it holds what an earlier run finished.
  private let keepsEarlier: Bool

  struct State: Sendable {
    var files: [OutputFile] = []
    /// How much of each placement has been written, in the order of `layout.placements`.
    var progress: [Progress] = []
    /// The folder in which the files are; nil for a single file.
    var folder: OpenFolder?
    /// The folders in it, by their names in the layout.
    var inner: [String: OpenFolder] = [:]
    var isOver = false
  }

  struct Progress: Sendable {
    var written = 0
    var hash: StreamHash
    /// Bytes that were accepted but are not in the file yet; empty once the placement is complete.
    var buffer: WriteBuffer
    /// The hash of what an earlier run wrote.
    var earlier: StreamHash.Digest?

    package var digest: StreamHash.Digest { earlier ?? hash.digest() }
  }

  /// Placements of each file in the order of their offsets, to find the one that a write belongs to.
  private let order: [[Int]]

  /// Creates the output under a temporary name, reserves its space and writes what is known in advance.
  /// - Parameters:
  ///   - target: a file, or a folder if `layout.isFolder`.
  ///   - force: replace what exists at `target`.
  ///   - inputs: files that the run reads; none of them, nor a folder above one, may be the target.
  /// - Throws: `Failure` of kind cannotCreate (the target exists, is the input, cannot be written) or io (disk full).
  public convenience init(layout: OutputLayout, target: String, force: Bool, inputs: [String]) throws(Failure) {
    let target = OutputTarget.trim(target)
    try OutputTarget.check(layout, target, force: force, inputs: inputs)
    let work = try WorkFolder(for: target)
    try work.clear()
    try self.init(layout: layout, target: target, force: force, work: work)
  }

  /// Creates the output in a work folder, or opens what an earlier run left of it there.
  /// - Parameters:
  ///   - target: has passed `OutputTarget.check`.
  ///   - finished: hashes of the placements that were written before, by index.
  ///   - isKept: whether an interrupt leaves the work folder.
  package init(
    layout: OutputLayout, target: String, force: Bool, work: WorkFolder, finished: [Int: StreamHash.Digest] = [:], isKept: Bool = false
  ) throws(Failure) {
    self.target = target
    self.layout = layout
    self.force = force
    self.work = work
    keepsEarlier = !finished.isEmpty
    var order = [[Int]](repeating: [], count: layout.files.count)
    for (index, placement) in layout.placements.enumerated() { order[placement.file].append(index) }
    self.order = order.map { indices in indices.sorted { layout.placements[$0].offset < layout.placements[$1].offset } }

    if !isKept { work.removeOnInterrupt() }
    var state = State()
    let pool = WriteBuffer.Pool()
    for (index, placement) in layout.placements.enumerated() {
      guard let hash = StreamHash() else { throw Failure(.io, "io.memory", "out of memory", file: target) }
      let earlier = finished[index]
      let written = earlier == nil ? 0 : placement.byteCount
      state.progress.append(Progress(written: written, hash: hash, buffer: WriteBuffer(pool), earlier: earlier))
    }
    self.state = Mutex(state)
    // From here on the object is initialized, and `deinit` cleans up after a throw.
    let isGathered = layout.isFolder || layout.isSplit
    let folder = isGathered ? try OutputTransaction.makeFolder(WorkFolder.output, in: work.folder) : nil
    self.state.withLock { $0.folder = folder }
    // Permissions are set at the start, so that the output is never more readable than what it replaces; its owner can still write.
    if layout.isFolder, let folder, let mode = OutputTarget.permissions(of: target) {
      fchmod(folder.descriptor, mode | 0o700)
    }
    var inner: [String: OpenFolder] = [:]
    for name in layout.folders {
      guard let parent = inner[Files.folder(of: name)] ?? folder else { continue }
      inner[name] = try OutputTransaction.makeFolder(Files.lastComponent(name), in: parent)
    }
    self.state.withLock { [inner] in $0.inner = inner }
    for (file, replaced) in zip(layout.files, OutputTransaction.replaced(layout, target)) {
      let path = isGathered ? Files.join(work.output, file.name) : work.output
      let place = inner[Files.folder(of: file.name)] ?? folder ?? work.folder
      let output = try OutputFile(path: path, in: place, size: file.size)
      if let mode = OutputTarget.permissions(of: replaced) { output.set(permissions: mode | 0o600) }
      self.state.withLock { $0.files.append(output) }
      for literal in file.literals { try OutputTransaction.write(literal.bytes, at: literal.offset, of: output) }
    }
  }

  private static func makeFolder(_ name: String, in parent: OpenFolder) throws(Failure) -> OpenFolder {
    let made = InterruptCleanup.create {
      Result { () throws(OpenFolder.Refused) in
        let isMade = mkdirat(parent.descriptor, name, 0o777) == 0
        if !isMade, errno != EEXIST { throw OpenFolder.Refused(number: errno) }
        return try OpenFolder(name, in: parent)
      }
    }
    do throws(OpenFolder.Refused) { return try made.get() } catch {
      throw Failure(
        .cannotCreate, "output.create",
        "cannot be created: \(OutputTarget.errorText(error.number))", file: Files.join(parent.path, name))
    }
  }

  /// The path that each file replaces, if something is there.
  static func replaced(_ layout: OutputLayout, _ target: String) -> [String] {
    layout.isFolder ? layout.files.map { target + "/" + $0.name } : layout.targets(target)
  }

  private static func write(_ bytes: [UInt8], at offset: Int, of file: OutputFile) throws(Failure) {
    let result = bytes.withUnsafeBytes { buffer -> Failure? in
      do throws(Failure) { try file.write(buffer, at: offset) } catch { return error }
      return nil
    }
    if let result { throw result }
  }

  deinit { cancel(keeping: keepsEarlier) }

  /// Writes a piece of one placement. The pieces of one placement come in order; different placements may be written
  /// at the same time by different threads.
  /// - Throws: `Failure` of kind io, or internalError for a write outside of the layout or out of order.
  public func write(file: Int, offset: Int, bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard !bytes.isEmpty else { return }
    let (index, output, progress) = try find(file: file, offset: offset)
    let placement = layout.placements[index]
    guard offset == placement.offset + progress.written, bytes.count <= placement.byteCount - progress.written else {
      throw Failure(.internalError, "output.order", "write at \(offset) is out of order", file: target, byteOffset: offset)
    }
    progress.hash.update(bytes)
    let isLast = progress.written + bytes.count == placement.byteCount
    try progress.buffer.append(bytes, at: offset, isLast: isLast, to: output)
    state.withLock { $0.progress[index].written += bytes.count }
  }

  /// Writes a part of each of several lines of a placement. Such a placement is written in no other way, and every byte once.
  /// - Parameters:
  ///   - offset: of the first line's part; each of the others begins `stride` bytes after the one before.
  ///   - bytes: `lines` parts of the same length, one after another.
  /// - Throws: as above.
  public func write(file: Int, offset: Int, lines: Int, stride: Int, bytes: UnsafeRawBufferPointer) throws(Failure) {
    guard !bytes.isEmpty, lines > 0 else { return }
    let (index, output, progress) = try find(file: file, offset: offset)
    let placement = layout.placements[index]
    let length = bytes.count / lines
    guard length * lines == bytes.count, length <= stride, bytes.count <= placement.byteCount - progress.written,
      let last = Checked.product(lines - 1, stride), last <= placement.offset + placement.byteCount - offset - length
    else { throw Failure(.internalError, "output.outside", "lines at \(offset) belong to no tensor", file: target, byteOffset: offset) }
    for line in 0..<lines {
      try output.write(UnsafeRawBufferPointer(rebasing: bytes[line * length..<(line + 1) * length]), at: offset + line * stride)
    }
    let isComplete = progress.written + bytes.count == placement.byteCount
    // The bytes of a placement are hashed in the order of the file.
    if isComplete { try read(placement, from: output) { progress.hash.update($0) } }
    state.withLock { $0.progress[index].written += bytes.count }
  }

  /// The placement that a write belongs to.
  private func find(file: Int, offset: Int) throws(Failure) -> (index: Int, output: OutputFile, progress: Progress) {
    guard layout.files.indices.contains(file), let index = placement(file: file, containing: offset) else {
      throw Failure(.internalError, "output.outside", "write at \(offset) belongs to no tensor", file: target)
    }
    let (output, progress) = try current { state in (state.files[file], state.progress[index]) }
    return (index, output, progress)
  }

  /// Reads a placement in order.
  private func read(
    _ placement: OutputLayout.Placement, from file: OutputFile, _ body: (UnsafeRawBufferPointer) -> Void
  ) throws(Failure) {
    // As much as fits a core's cache: bytes are hashed while they are there.
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 4096)
    defer { buffer.deallocate() }
    var done = 0
    while done < placement.byteCount {
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<min(buffer.count, placement.byteCount - done)])
      try file.read(into: part, at: placement.offset + done)
      body(UnsafeRawBufferPointer(part))
      done += part.count
    }
  }

  /// Reads the shared state, or throws if the transaction is over.
  func current<Result: Sendable>(_ read: (State) -> sending Result) throws(Failure) -> Result {
    let result = state.withLock { $0.isOver ? nil : read($0) }
    guard let result else { throw Failure(.internalError, "output.over", "the transaction is over", file: target) }
    return result
  }

  private func placement(file: Int, containing offset: Int) -> Int? {
    let candidates = order[file]
    var low = 0
    var high = candidates.count
    while low < high {
      let middle = (low + high) / 2
      if layout.placements[candidates[middle]].offset <= offset { low = middle + 1 } else { high = middle }
    }
    // Empty placements share their offset with others; the last one is the one with bytes.
    guard low > 0 else { return nil }
    let index = candidates[low - 1]
    return offset < layout.placements[index].offset + layout.placements[index].byteCount ? index : nil
  }

  /// Flushes what has been written so far to disk.
  package func sync() throws(Failure) {
    for file in try current({ $0.files }) { try file.sync() }
  }

  /// The hash of a placement that has been written completely.
  package func digest(_ placement: Int) throws(Failure) -> StreamHash.Digest { try current { $0.progress[placement].digest } }

  /// Reads back what an earlier run finished.
  /// - Throws: `Failure` of kind io if the disk holds something else.
  package func verifyEarlier() throws(Failure) {
    let (files, progress) = try current { state in (state.files, state.progress) }
    try verify(files, progress.map { $0.earlier }, literals: false)
  }

  /// Flushes everything to disk, reads it back, compares it, and gives the output its final name.
  /// - Throws: `Failure` of kind io if the disk holds something else than was written, or cannotCreate if the target appeared in
  ///   the meantime.
  public func commit() throws(Failure) {
    try verify()
    try giveName()
  }

  /// The first half of `commit`: the output is complete under a temporary name, where it can be read.
  /// - Returns: the temporary path, `path`.
  @discardableResult
  public func verify() throws(Failure) -> String {
    let (files, progress) = try current { state in (state.files, state.progress) }
    for (placement, progress) in zip(layout.placements, progress) where progress.written != placement.byteCount {
      throw Failure(
        .internalError, "output.incomplete", "tensor \(placement.tensor) has \(progress.written) of \(placement.byteCount) bytes",
        file: target)
    }
    for file in files { try file.sync() }
    try verify(files, progress.map { $0.digest }, literals: true)
    for file in files { file.dropFromCache() }
    let (folder, inner) = try current { ($0.folder, $0.inner) }
    for folder in inner.values { try OutputTransaction.sync(folder) }
    if let folder { try OutputTransaction.sync(folder) }
    return path
  }

  /// Where the output is until it gets its name; for several files that of the first, which clients open.
  package var path: String { layout.isSplit ? state.withLock { $0.files.first?.path } ?? work.output : work.output }

  /// Writes figures into their slots, after `verify`.
  /// - Parameter figures: by id. Figures without a slot, or longer than it, are left out.
  package func fill(_ figures: [String: String]) throws(Failure) {
    let files = try current { $0.files }
    for slot in layout.slots {
      guard let bytes = figures[slot.figure].map({ Array($0.utf8) }), bytes.count <= slot.byteCount else { continue }
      try OutputTransaction.write(bytes, at: slot.offset, of: files[slot.file])
    }
    for index in Set(layout.slots.map(\.file)) { try files[index].sync() }
  }

  /// - Parameter expected: the hash of each placement; nil: is not read.
  private func verify(_ files: [OutputFile], _ expected: [StreamHash.Digest?], literals: Bool) throws(Failure) {
    for (placement, digest) in zip(layout.placements, expected) {
      guard let digest else { continue }
      guard let hash = StreamHash() else { throw Failure(.io, "io.memory", "out of memory", file: target) }
      let file = files[placement.file]
      try read(placement, from: file) { hash.update($0) }
      guard hash.digest() == digest else { throw corrupt(file.path, placement.offset) }
    }
    for (planned, file) in zip(layout.files, files) where literals {
      for literal in planned.literals {
        var found = [UInt8](repeating: 0, count: literal.bytes.count)
        let failure = found.withUnsafeMutableBytes { buffer -> Failure? in
          do throws(Failure) { try file.read(into: buffer, at: literal.offset) } catch { return error }
          return nil
        }
        if let failure { throw failure }
        if let wrong = found.indices.first(where: { found[$0] != literal.bytes[$0] }) { throw corrupt(file.path, literal.offset + wrong) }
      }
    }
  }

  private func corrupt(_ path: String, _ offset: Int) -> Failure {
    Failure(
      .io, "io.read-back", "the disk returned different bytes than were written", file: path, byteOffset: offset,
      remedy: "Check the disk and the memory of this machine.")
  }

  /// Ends the transaction without an output. Does nothing after a commit.
  /// - Parameter keeping: leave the work folder for a run that resumes.
  /// - Returns: false if the work folder should be removed and could not be.
  @discardableResult
  public func cancel(keeping: Bool = false) -> Bool {
    let wasOver = state.withLock { state in
      defer { state.isOver = true }
      return state.isOver
    }
    if wasOver { return true }
    // Without its descriptors: their number may be limited, and removing a folder needs some.
    if !keeping { state.withLock { ($0.files, $0.folder, $0.inner) = ([], nil, [:]) } }
    var isRemoved = true
    work.finish {
      if !keeping { isRemoved = work.remove() }
      return true
    }
    return isRemoved
  }
}
