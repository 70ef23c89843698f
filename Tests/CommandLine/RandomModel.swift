import QuantCore
import QuantPlatform
import TestSupport

/// The small random models of the fixtures, one or more of every family, made complete with a tokenizer.
enum RandomModel {
  static let names =
    (try? Files.list(SharedData.fixture("engine")))?.filter { Files.isFolder(SharedData.fixture("engine/" + $0)) }.sorted() ?? []

  /// A text in which every character is a token.
  static let text = (0..<40).map { "The quick brown fox no. \($0) jumps over \($0 * 7) lazy dogs! " }.joined()

  /// The space and almost all printable characters of ASCII are 94 of the 96 tokens. One is merged of two others: llama.cpp loads no
  /// vocabulary without merges.
  private static var tokenizer: JSON {
    let tokens = ["\u{120}"] + (0x21...0x7d).map { String(UnicodeScalar(UInt8($0))) } + ["}}", "<s>"]
    let spelling = JSON.object([.init("type", .string("ByteLevel")), .init("add_prefix_space", .bool(false))])
    return .object([
      .init("version", .string("1.0")), .init("pre_tokenizer", spelling), .init("decoder", spelling),
      .init(
        "model",
        .object([
          .init("type", .string("BPE")), .init("vocab", .object(tokens.enumerated().map { .init($0.element, .int($0.offset)) })),
          .init("merges", .array([.string("} }")])),
        ])),
    ])
  }

  /// Copies the model into a new folder.
  /// - Parameters:
  ///   - source: the folder to copy; nil: the fixture of this name.
  ///   - edit: changes the configuration.
  static func copy(
    _ name: String, from source: String? = nil, into folder: TemporaryFolder, edit: (String) -> String = { $0 }
  ) throws -> String {
    let path = folder.file(name), source = source ?? SharedData.fixture("engine/" + name)
    guard mkdir(path, 0o777) == 0 else { throw Failure(.io, "test.folder", "cannot be created", file: path) }
    writeFile(path + "/config.json", Array(edit(try Files.readText(source + "/config.json")).utf8))
    writeFile(path + "/model.safetensors", readFile(source + "/model.safetensors"))
    writeFile(path + "/tokenizer.json", Array(tokenizer.text().utf8))
    return path
  }

  /// A mixture of experts whose last block is followed by one that predicts a further token, with the weights of the last.
  static func predicting(into folder: TemporaryFolder) throws -> String {
    let path = try copy("glm4-moe", into: folder)
    let renamed = folder.file("predicting")
    guard rename(path, renamed) == 0 else { throw Failure(.io, "test.folder", "cannot be renamed", file: path) }
    var edited = try EditedFolder(renamed)
    edited.tensors += edited.tensors.filter { $0.name.hasPrefix("model.layers.1.") }.map { tensor in
      var copy = tensor
      copy.name = tensor.name.replacing("layers.1.", with: "layers.2.")
      return copy
    }
    for (name, shape) in [("eh_proj", [32, 64]), ("enorm", [32]), ("hnorm", [32]), ("shared_head.norm", [32])] {
      let bytes = [UInt8](repeating: 60, count: 2 * shape.reduce(1, *))
      edited.tensors.append(.init(name: "model.layers.2.\(name).weight", type: "BF16", shape: shape, bytes: bytes))
    }
    edited.set("num_nextn_predict_layers", to: .int(1))
    edited.save()
    return renamed
  }
}
