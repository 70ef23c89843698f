/// A format: one file with a header and tensors, read and written.
extension Scaffold {
  var format: String {
    """
    public import QuantCore

    /// One file with a model's configuration and tensors.
    ///
    /// `\(name.uppercased()) 1` and a line feed; a line of JSON, `{"config": …, "tensors": [{"name", "type", "shape", "offset"}, …]}`;
    /// then the tensors, little-endian, each at a multiple of 64 bytes from the beginning of the file. The tokenizer is beside the file.
    public enum \(camel)Format: ModelFormat {
      public static let id = "\(name)"
      public static let summary = "One .\(name) file with configuration and tensors."
      public static let reference = "the page that describes the format"
      public static let fileExtensions = ["\(name)"]
      public static let isFolder = false
      /// Tensors have the names that transformers gives them. So families know the models in these files.
      public static let naming = Naming(rawValue: "huggingFace")

      private static let magic = Array("\(name.uppercased()) 1\\n".utf8)
      private static let alignment = 64

      // MARK: Reading

      public static func recognises(_ path: String) -> Bool {
        guard Files.isFile(path), let file = try? MappedFile(path) else { return false }
        return file.contents.withUnsafeBytes { $0.starts(with: magic) }
      }

      /// Reads the header; tensors are decoded when somebody asks for their rows.
      public static func open(_ path: String, options: OpenOptions) throws -> Checkpoint {
        let file = try MappedFile(path)
        do throws(Failure) {
          let header = try header(file.contents)
          let tensors = try (header["tensors"]?.arrayValue ?? []).map { (entry) throws(Failure) in try tensor(entry, in: file.contents) }
          let config = header["config"]
          return Checkpoint(
            path: path, format: id, tensors: tensors, naming: naming,
            configuration: config.map { Configuration($0, architecture: $0["architectures"]?.arrayValue?.first?.stringValue) },
            companionFolder: Files.folder(of: path), files: [path], mappings: [file])
        } catch {
          throw error.inFile(path)
        }
      }

      private static func header(_ contents: ByteView) throws(Failure) -> JSON {
        guard contents.withUnsafeBytes({ $0.starts(with: magic) }), let rest = contents.slice(magic.count..<contents.count) else {
          throw Failure(.data, "\(name).signature", "does not begin with '\(name.uppercased()) 1'", byteOffset: 0)
        }
        do throws(JSON.ParseError) {
          return try JSON.parsePrefix(rest).value
        } catch {
          throw error.failure()
        }
      }

      /// Nothing that comes from a file may trap: every number is checked before it is computed with.
      private static func tensor(_ entry: JSON, in contents: ByteView) throws(Failure) -> CheckpointTensor {
        guard let name = entry["name"]?.stringValue, let type = entry["type"]?.stringValue.flatMap({ ElementType(schemeName: $0) }),
          let shape = entry["shape"]?.arrayValue?.compactMap(\\.intValue), shape.allSatisfy({ $0 >= 0 }),
          let offset = entry["offset"]?.intValue, offset >= 0
        else { throw Failure(.data, "\(name).tensor", "the header has an entry that describes no tensor: \\(entry.text())") }
        guard let count = Checked.product(of: shape + [type.bitCount / 8]), let end = Checked.sum(offset, count),
          let bytes = contents.slice(offset..<end)
        else { throw Failure(.data, "\(name).truncated", "is not within the file", tensor: name, byteOffset: offset) }
        return CheckpointTensor(name: name, shape: shape, storage: PlainStorage(type, bytes))
      }

      // MARK: Writing

      public static let defaultScheme = "bf16"

      /// What is not quantized stays as it is stored, unless the whole model becomes a floating-point type.
      public static func unquantizedScheme(for tensor: PresetTensor, stored: String, type: String?) -> String {
        guard let element = ElementType(schemeName: stored) else { return type ?? "bf16" }
        return element.isFloat ? type ?? stored : stored
      }

      /// There is no packing for these files but plain numbers, so every matrix may become another floating-point type.
      public static func quantizes(_ tensor: PresetTensor, as scheme: (any Scheme)?, model: ModelDescription?) -> Bool {
        tensor.shape.count >= 2
      }

      /// Where every tensor goes, and the bytes of the header. The host writes them, verifies them, and names the file when it is whole.
      public static func layout(_ request: OutputRequest) throws -> OutputLayout {
        let parts = request.tensors.enumerated().flatMap { index, tensor in
          tensor.parts.enumerated().map { (tensor: index, part: $0, stored: $1) }
        }
        // The header states offsets, and its own length moves them: they are made with room to spare.
        let room = aligned(magic.count + 1 + header(parts.map(\\.stored), offsets: parts.map { _ in .max }, request).count)
        var offset = room
        var placements: [OutputLayout.Placement] = []
        for part in parts {
          placements.append(.init(tensor: part.tensor, part: part.part, file: 0, offset: offset, byteCount: part.stored.byteCount))
          offset = aligned(offset + part.stored.byteCount)
        }
        let bytes = magic + header(parts.map(\\.stored), offsets: placements.map(\\.offset), request)
        let padding = [UInt8](repeating: UInt8(ascii: " "), count: room - bytes.count - 1) + [UInt8(ascii: "\\n")]
        let file = OutputLayout.File(name: "", size: offset, literals: [(0, bytes + padding)])
        return OutputLayout(isFolder: false, files: [file], placements: placements)
      }

      private static func header(_ parts: [StoredPart], offsets: [Int], _ request: OutputRequest) -> [UInt8] {
        let tensors = zip(parts, offsets).map { part, offset in
          var type = "f32"
          if case .element(let element) = part.type { type = element.schemeName }
          return JSON.object([
            .init("name", .string(part.name)), .init("type", .string(type)), .init("shape", .array(part.shape.map { .int($0) })),
            .init("offset", .int(offset)),
          ])
        }
        // A model that comes from elsewhere has keys of that format; its family knows how these are said here.
        let config = request.source.configuration?.json ?? request.model?.configurations[naming]?.json ?? .null
        return Array(JSON.object([.init("config", config), .init("tensors", .array(tensors))]).text().utf8)
      }

      private static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) / alignment * alignment }
    }

    """
  }

  var formatTests: String {
    """
    import Foundation
    import QuantCore
    import \(camel)Plugin
    import Testing

    /// A file with some bytes that goes away with the value.
    private final class File {
      let path = FileManager.default.temporaryDirectory.appending(path: "\\(UUID()).\(name)").path()
      init(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }
      deinit { try? FileManager.default.removeItem(atPath: path) }
    }

    /// The bytes that `layout` asks for, for two tensors of the numbers 1, 2, … and 0.5.
    private func written() throws -> (bytes: [UInt8], source: Checkpoint) {
      func tensor(_ name: String, _ shape: [Int], _ values: [Float]) -> CheckpointTensor {
        CheckpointTensor(name: name, shape: shape, storage: PlainStorage(.f16, ByteView(NumberConversion.bytes(of: values, as: .f16))))
      }
      let configuration = JSON.object([.init("architectures", .array([.string("LlamaForCausalLM")]))])
      let source = Checkpoint(
        path: "source", format: "test", tensors: [tensor("a.weight", [3, 2], [1, 2, 3, 4, 5, 6]), tensor("b.weight", [2], [0.5, 0.5])],
        naming: \(camel)Format.naming, configuration: Configuration(configuration, architecture: "LlamaForCausalLM"), files: [])
      let scheme = FloatScheme.f16, packing = PlainPacking()
      let planned = source.tensors.map { tensor in
        PlannedTensor(
          sourceName: tensor.name, name: tensor.name, shape: tensor.shape, scheme: scheme, packing: packing,
          parts: packing.parts(name: tensor.name, shape: tensor.shape, scheme: scheme), note: nil, isCopy: true)
      }
      let layout = try \(camel)Format.layout(
        OutputRequest(source: source, model: nil, tokenizer: nil, tensors: planned, presetName: "f16", provenance: [], targetName: "out"))
      var bytes = [UInt8](repeating: 0, count: layout.totalSize)
      func write(_ stored: [UInt8], at offset: Int) { bytes.replaceSubrange(offset..<offset + stored.count, with: stored) }
      for literal in layout.files[0].literals { write(literal.bytes, at: literal.offset) }
      for place in layout.placements {
        write(source.tensors[place.tensor].storage.verbatim?.bytes ?? [], at: place.offset)
      }
      return (bytes, source)
    }

    @Test func whatIsLaidOutIsReadAgain() throws {
      let (bytes, source) = try written()
      let file = try File(bytes)
      #expect(\(camel)Format.recognises(file.path))
      let read = try \(camel)Format.open(file.path, options: OpenOptions())
      #expect(read.configuration?.architecture == "LlamaForCausalLM")
      #expect(read.tensors.map(\\.name) == source.tensors.map(\\.name))
      for (tensor, expected) in zip(read.tensors, source.tensors) { #expect(tensor.hasSameContent(as: expected)) }
    }

    @Test func brokenFilesAreRefused() throws {
      let (bytes, _) = try written()
      let text = String(decoding: bytes, as: UTF8.self)
      let negative = Array(text.replacing("\\"shape\\":[3,2]", with: "\\"shape\\":[-3,2]").utf8)
      let enormous = Array(text.replacing("\\"shape\\":[3,2]", with: "\\"shape\\":[9223372036854775807,2]").utf8)
      for broken in [Array(bytes.prefix(bytes.count - 200)), Array("\(name.uppercased()) 2\\n".utf8), [], negative, enormous] {
        let file = try File(broken)
        #expect(throws: Failure.self) { try \(camel)Format.open(file.path, options: OpenOptions()) }
      }
    }

    """
  }
}
