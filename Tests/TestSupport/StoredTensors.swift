public import QuantCore

/// The tensors of a trusted safetensors file as they are stored, in the order of its header; empty if it is broken.
public func storedTensors(_ path: String) -> [CheckpointTensor] {
  let view = ByteView(readFile(path))
  guard view.count >= 8 else { return [] }
  let length = view.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
  guard let header = view.slice(8..<8 + length), let members = try? JSON.parse(header, .strict).objectValue else { return [] }
  return members.compactMap { member in
    guard let type = member.value["dtype"]?.stringValue.flatMap(ElementType.init(rawValue:)),
      let shape = member.value["shape"]?.arrayValue?.compactMap(\.intValue),
      let offsets = member.value["data_offsets"]?.arrayValue?.compactMap(\.intValue), offsets.count == 2,
      let bytes = view.slice(8 + length + offsets[0]..<8 + length + offsets[1])
    else { return nil }
    return CheckpointTensor(name: member.key, shape: shape, storage: PlainStorage(type, bytes))
  }
}
