/// The files of an output: one file, a folder, or several files side by side. Their sizes are known to the byte before anything is
/// written.
public struct OutputLayout: Sendable {
  /// One file of the output.
  public struct File: Sendable {
    /// Name within the output folder, or beside the target; empty if the output is a single file.
    public var name: String
    /// Length in bytes.
    public var size: Int
    /// Bytes known in advance (headers; padding is zero anyway), at their offsets.
    public var literals: [(offset: Int, bytes: [UInt8])]

    public init(name: String, size: Int, literals: [(offset: Int, bytes: [UInt8])]) {
      self.name = name
      self.size = size
      self.literals = literals
    }
  }

  /// Where one stored part goes.
  public struct Placement: Sendable, Equatable {
    /// Index into the request's tensors.
    public var tensor: Int
    /// Index into that tensor's parts.
    public var part: Int
    /// Index into `files`.
    public var file: Int
    /// Distance in bytes from the start of the file.
    public var offset: Int
    /// Length in bytes.
    public var byteCount: Int

    public init(tensor: Int, part: Int, file: Int, offset: Int, byteCount: Int) {
      self.tensor = tensor
      self.part = part
      self.file = file
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// A range of a file that holds spaces until a figure is known, so that sizes do not depend on what is measured.
  public struct Slot: Sendable, Equatable {
    /// Id of the figure.
    public var figure: String
    /// Index into `files`.
    public var file: Int
    /// Distance in bytes from the start of the file.
    public var offset: Int
    /// Length in bytes.
    public var byteCount: Int

    public init(figure: String, file: Int, offset: Int, byteCount: Int) {
      self.figure = figure
      self.file = file
      self.offset = offset
      self.byteCount = byteCount
    }
  }

  /// Whether the target is a folder that holds the files.
  public var isFolder: Bool
  /// The files of the output. A split output is named from the last to the first (`SplitNaming`).
  public var files: [File]
  /// Where each part of each tensor goes.
  public var placements: [Placement]
  /// Where figures go that are known only when everything else is written.
  public var slots: [Slot]
  /// What an earlier output in the same folder may contain besides the names of `files`: names, or `*` followed by an ending. A
  /// folder that contains anything else is not replaced.
  public var earlierNames: [String]

  public init(isFolder: Bool, files: [File], placements: [Placement], slots: [Slot] = [], earlierNames: [String] = []) {
    self.isFolder = isFolder
    self.files = files
    self.placements = placements
    self.slots = slots
    self.earlierNames = earlierNames
  }

  /// The folders inside an output that is a folder, those that hold others first.
  var folders: [String] {
    var found: [String] = []
    for file in files where isFolder {
      let parts = file.name.split(separator: "/").dropLast()
      for count in parts.indices {
        let folder = parts[...count].joined(separator: "/")
        if !found.contains(folder) { found.append(folder) }
      }
    }
    return found
  }

  /// The same output with another one as a part of it, so that both are complete or absent together.
  /// - Parameters:
  ///   - name: of the folder inside this output that the other one becomes; of the file beside it, if both are files.
  ///   - ownName: of this output, if it is a single file.
  ///   - firstTensor: index in the whole request of the other output's first tensor.
  package func holding(_ other: OutputLayout, named name: String, ownName: String, firstTensor: Int) -> OutputLayout {
    var result = self
    if !isFolder, result.files.count == 1 { result.files[0].name = ownName }
    result.files += other.files.map { file in
      var file = file
      file.name = file.name.isEmpty ? name : name + "/" + file.name
      return file
    }
    result.placements += other.placements.map { place in
      var place = place
      place.tensor += firstTensor
      place.file += files.count
      return place
    }
    result.slots += other.slots.map { slot in
      var slot = slot
      slot.file += files.count
      return slot
    }
    return result
  }

  /// Whether a file of this name may be in a folder that the output replaces.
  func mayHold(_ name: String) -> Bool {
    files.contains { $0.name == name }
      || earlierNames.contains { $0.hasPrefix("*") ? name.hasSuffix($0.dropFirst()) : name == $0 }
  }

  /// Whether the output is several files side by side.
  public var isSplit: Bool { !isFolder && files.contains { !$0.name.isEmpty } }

  /// The paths of the complete output. Clients open the first.
  public func targets(_ target: String) -> [String] {
    guard isSplit else { return [target] }
    let folder = target.lastIndex(of: "/").map { target[...$0] } ?? ""
    return files.map { folder + $0.name }
  }

  /// Size of all files together.
  public var totalSize: Int { files.reduce(0) { $0 + $1.size } }
}
