import FolderKit
public import QuantCore

/// Files that `torch.save` writes: a ZIP archive with a pickle that describes tensors, and an entry with the values of each.
///
/// A custom interpreter reads the pickle. It knows the few instructions and names that make up a dictionary of tensors, and
/// executes nothing; see `PickleMachine`. The values stay in the file: entries that are not compressed, as PyTorch writes them,
/// are mapped; deflated ones are held in memory. Checksums are verified for what describes tensors, but not for stored values,
/// because that would read all of them when a file is opened.
///
/// Specification: https://docs.pytorch.org/docs/stable/notes/serialization.html
public struct PyTorchFormat: WeightFormat {
  public static let id = "pytorch"
  public static let summary = "Tensors saved by torch.save (.bin, .pt, .pth), read without executing anything in them."
  public static let reference = "https://docs.pytorch.org/docs/stable/notes/serialization.html"
  public static let fileExtensions = ["bin", "pt", "pth"]
  public static let singleName = "pytorch_model.bin"
  /// Tensors have the names of Hugging Face folders.
  public static let naming = Naming(rawValue: "huggingFace")

  private static let archiveStart = Array("PK\u{3}\u{4}".utf8)
  /// What PyTorch wrote before version 1.6: several pickles in a row, of which the first is a number.
  private static let legacyStart: [UInt8] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

  /// Whether the first bytes are those of a ZIP archive or of an old PyTorch file.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFile(path), let file = try? MappedFile(path) else { return false }
    let start = file.contents.withUnsafeBytes { [UInt8]($0.prefix(legacyStart.count)) }
    return start.starts(with: archiveStart) || start == legacyStart
  }

  /// Trainers store their own state beside the model.
  public static func holdsWeights(_ name: String) -> Bool {
    let state = ["training_args", "optimizer", "scheduler", "rng_state", "scaler"]
    return fileExtensions.contains { name.hasSuffix("." + $0) } && !state.contains { name.hasPrefix($0) }
  }

  /// The tensors that the pickle of a file describes.
  /// - Throws: `Failure` `input.…`, `zip.…`, `pt.…` or `limit.…` that names the file.
  public static func weights(_ path: String) throws(Failure) -> WeightFile {
    let file = try MappedFile(path)
    do throws(Failure) {
      let tensors = try PyTorchArchive.tensors(try archive(file.contents))
      try checkOverlap(tensors, of: file)
      return WeightFile(file: file, tensors: tensors)
    } catch {
      throw error.inFile(path)
    }
  }

  /// How many times larger than their file tensors may be that share its bytes. Tied weights are stored once and named a few times.
  private static let maximumOverlap = (times: 16, bytes: 64 << 20)

  /// Views of the same bytes would make a small file a large output.
  private static func checkOverlap(_ tensors: [CheckpointTensor], of file: MappedFile)
    throws(Failure)
  {
    let limit =
      Checked.product(file.count, maximumOverlap.times).flatMap {
        Checked.sum($0, maximumOverlap.bytes)
      } ?? .max
    let total = tensors.reduce(0) { Checked.sum($0, $1.storage.byteCount) ?? .max }
    guard total <= limit else {
      throw Failure(
        .data, "limit.overlap",
        "its tensors have \(total) bytes, more than \(maximumOverlap.times) times as many as the file",
        remedy: "Save each tensor as a copy of its own (tensor.clone()).")
    }
  }

  private static func archive(_ contents: ByteView) throws(Failure) -> ZipArchive {
    let start = contents.withUnsafeBytes { [UInt8]($0.prefix(legacyStart.count)) }
    if start == legacyStart {
      throw Failure(
        .unsupported, "pt.legacy", "is in the format that PyTorch wrote before version 1.6, which is not supported", byteOffset: 0,
        remedy: "Load it with torch.load and save it again with torch.save.")
    }
    guard start.starts(with: archiveStart) else {
      if let wrong = WrongKind.failure(contents, expected: "a ZIP archive (PyTorch .bin or .pt)") { throw wrong }
      throw Failure(.data, "pt.signature", "does not begin like a file that torch.save writes", byteOffset: 0)
    }
    return try ZipArchive(contents)
  }
}
