import QuantCore
import TestSupport

/// A folder with one weight file whose tensors and configuration a test edits.
struct EditedFolder {
  struct Stored {
    var name: String
    /// The type as the header spells it: `BF16`.
    var type: String
    var shape: [Int]
    var bytes: [UInt8]
  }

  let path: String
  var tensors: [Stored]
  private(set) var configuration: JSON

  init(_ path: String) throws {
    self.path = path
    let content = readFile(path + "/model.safetensors")
    let length = content.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSON.parse(ByteView(Array(content[8..<8 + length])), .strict)
    tensors = (header.objectValue ?? []).filter { $0.key != "__metadata__" }.map { member in
      let place = (member.value["data_offsets"]?.arrayValue ?? []).compactMap(\.intValue).map { $0 + 8 + length }
      return Stored(
        name: member.key, type: member.value["dtype"]?.stringValue ?? "",
        shape: member.value["shape"]?.arrayValue?.compactMap(\.intValue) ?? [], bytes: Array(content[place[0]..<place[1]]))
    }
    configuration = try JSON.parse(ByteView(readFile(path + "/config.json")))
  }

  /// Sets a value of `config.json`, or removes it.
  mutating func set(_ keys: String..., to value: JSON?) {
    configuration = EditedFolder.setting(keys[...], to: value, in: configuration) ?? configuration
  }

  private static func setting(_ keys: ArraySlice<String>, to value: JSON?, in json: JSON) -> JSON? {
    guard let key = keys.first else { return value }
    let others = (json.objectValue ?? []).filter { $0.key != key }
    let inner = setting(keys.dropFirst(), to: value, in: json[key] ?? .object([]))
    return .object(others + (inner.map { [JSON.Member(key, $0)] } ?? []))
  }

  /// Changes every tensor whose name has this ending.
  mutating func change(_ ending: String, _ body: (inout Stored) -> Void) {
    for index in tensors.indices where tensors[index].name.hasSuffix(ending) { body(&tensors[index]) }
  }

  /// Removes every tensor whose name has this ending.
  mutating func remove(_ ending: String) { tensors.removeAll { $0.name.hasSuffix(ending) } }

  func save() {
    var header: [JSON.Member] = [], data: [UInt8] = []
    for tensor in tensors {
      header.append(
        .init(
          tensor.name,
          .object([
            .init("dtype", .string(tensor.type)), .init("shape", .array(tensor.shape.map { .int($0) })),
            .init("data_offsets", .array([.int(data.count), .int(data.count + tensor.bytes.count)])),
          ])))
      data += tensor.bytes
    }
    let text = Array(JSON.object(header).text().utf8)
    writeFile(path + "/model.safetensors", withUnsafeBytes(of: UInt64(text.count).littleEndian) { [UInt8]($0) } + text + data)
    writeFile(path + "/config.json", Array(configuration.text().utf8))
  }
}
