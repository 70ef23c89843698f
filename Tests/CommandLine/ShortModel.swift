import QuantCore
import QuantPlatform
import TestSupport

/// The first blocks of the small trained model of the fixtures: the same sizes and tokenizer, at a fraction of the cost.
enum ShortModel {
  /// Writes the model into a new folder.
  static func make(blocks: Int, in folder: TemporaryFolder, _ checkpoint: Checkpoint) throws -> String {
    let source = SharedData.fixture("models/tiny-llama"), path = folder.file("short")
    guard mkdir(path, 0o777) == 0 else { throw Failure(.io, "test.folder", "cannot be created", file: path) }
    for file in ["tokenizer.json", "tokenizer_config.json"] where Files.exists(source + "/" + file) {
      writeFile(path + "/" + file, readFile(source + "/" + file))
    }
    let configuration = try JSON.parse(ByteView(readFile(source + "/config.json")))
    let members = (configuration.objectValue ?? []).map { $0.key == "num_hidden_layers" ? JSON.Member($0.key, .int(blocks)) : $0 }
    writeFile(path + "/config.json", Array(JSON.object(members).text().utf8))
    let kept = checkpoint.tensors.filter { tensor in
      let words = tensor.name.split(separator: ".")
      return words.count < 3 || words[1] != "layers" || Int(words[2]).map { $0 < blocks } == true
    }
    var header: [JSON.Member] = [], data: [UInt8] = []
    for tensor in kept {
      let bytes = tensor.storage.verbatim?.bytes ?? []
      let place = JSON.array([.int(data.count), .int(data.count + bytes.count)])
      header.append(
        .init(
          tensor.name,
          .object([
            .init("dtype", .string(tensor.storage.schemeName.uppercased())), .init("shape", .array(tensor.shape.map { .int($0) })),
            .init("data_offsets", place),
          ])))
      data += bytes
    }
    let text = Array(JSON.object(header).text().utf8)
    writeFile(path + "/model.safetensors", withUnsafeBytes(of: UInt64(text.count).littleEndian) { [UInt8]($0) } + text + data)
    return path
  }
}
