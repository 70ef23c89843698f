import FolderKit
public import QuantCore

/// Safetensors files: alone, or as the shards of a folder.
///
/// The file itself says nothing about the model; a `config.json` beside it is used if there is one. One of several shards
/// can be opened too, and then holds only a part of the model.
///
/// Specification: https://github.com/huggingface/safetensors
public struct SafetensorsFormat: WeightFormat {
  public static let id = "safetensors"
  public static let summary = "One safetensors file, with the config.json and tokenizer beside it."
  public static let reference = "https://github.com/huggingface/safetensors"
  public static let fileExtensions = ["safetensors"]
  public static let isFolder = false
  public static let singleName = "model.safetensors"

  /// Whether the path is a file that begins with a header length and an opening brace, or has the extension.
  public static func recognises(_ path: String) -> Bool {
    guard Files.isFile(path) else { return false }
    if path.hasSuffix(".safetensors") { return true }
    guard let file = try? MappedFile(path) else { return false }
    var reader = ByteReader(file.contents)
    guard let length = try? reader.u64(), let first = try? reader.u8() else { return false }
    return length > 0 && length <= UInt64(SafetensorsHeader.maximumHeaderBytes) && first == UInt8(ascii: "{")
  }

  /// The tensors that the header of a file describes.
  /// - Throws: `Failure` `input.…`, `st.…` or `limit.…` that names the file.
  public static func weights(_ path: String) throws(Failure) -> WeightFile {
    let file = try MappedFile(path)
    let contents = file.contents
    do {
      let header = try SafetensorsHeader(contents)
      let tensors = try header.entries.map { (entry) throws(Failure) in
        guard let bytes = contents.slice(entry.range) else {
          throw Failure(.data, "st.truncated", "lies outside the file", tensor: entry.name, byteOffset: entry.range.lowerBound)
        }
        return CheckpointTensor(name: entry.name, shape: entry.shape, storage: PlainStorage(entry.type, bytes))
      }
      return WeightFile(file: file, tensors: tensors, metadata: header.metadata)
    } catch {
      throw error.inFile(path)
    }
  }
}
