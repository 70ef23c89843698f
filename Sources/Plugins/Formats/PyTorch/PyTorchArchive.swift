import QuantCore

/// Finds the parts of a saved model in its archive.
enum PyTorchArchive {
  private static let maximumRank = 8

  /// - Throws: `Failure` `zip.…`, `pt.…` or `limit.…`.
  static func tensors(_ archive: ZipArchive) throws(Failure) -> [CheckpointTensor] {
    let pickles = archive.names.filter { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }
    guard let pickle = pickles.first, pickles.count == 1 else {
      throw Failure(
        .data, "pt.no-pickle", "is a ZIP archive, but has \(pickles.count) data.pkl entries instead of torch.save's one", byteOffset: 0)
    }
    let prefix = String(pickle.dropLast("data.pkl".count))
    guard archive.count(of: prefix + "constants.pkl") == nil else {
      throw Failure(
        .unsupported, "pt.torchscript", "is a TorchScript program, not a model's tensors", byteOffset: 0,
        remedy: "Save the model's state_dict() with torch.save.")
    }
    var inflated = 0
    try checkByteOrder(archive, prefix + "byteorder", &inflated)
    let content = try archive.content(of: pickle, checksInPlace: true, inflated: &inflated)
    let dictionary: StateDictionary
    do throws(Failure) {
      var machine = try PickleMachine(content)
      dictionary = try StateDictionary(machine.run(), of: machine)
    } catch {
      // Offsets in a stored pickle are offsets in the file.
      let place = archive.isStored(pickle) ? error.byteOffset ?? 0 : 0
      throw error.at((archive.offset(of: pickle) ?? 0) + place)
    }
    var storages: [String: ByteView] = [:]
    var tensors: [CheckpointTensor] = []
    for (name, tensor) in dictionary.tensors {
      let entry = prefix + "data/" + tensor.storage.key
      do throws(Failure) {
        let bytes: ByteView
        if let known = storages[entry] {
          bytes = known
        } else {
          bytes = try archive.content(of: entry, checksInPlace: false, inflated: &inflated)
          storages[entry] = bytes
        }
        tensors.append(CheckpointTensor(name: name, shape: tensor.shape, storage: try storage(tensor, bytes)))
      } catch {
        let failure = error.inTensor(name)
        throw failure.byteOffset == nil ? failure.at(archive.offset(of: entry) ?? 0) : failure
      }
    }
    return tensors
  }

  /// Files without this entry predate it and were written on little-endian machines.
  private static func checkByteOrder(_ archive: ZipArchive, _ name: String, _ inflated: inout Int) throws(Failure) {
    guard let count = archive.count(of: name) else { return }
    guard count <= 16, try archive.content(of: name, checksInPlace: true, inflated: &inflated).bytes == Array("little".utf8) else {
      throw Failure(
        .unsupported, "pt.byte-order", "its values are not little-endian", byteOffset: archive.offset(of: name) ?? 0,
        remedy: "Save it again on a little-endian machine.")
    }
  }

  /// The values of a view, after checking everything that the pickle says against the storage.
  private static func storage(_ tensor: PickledTensor, _ bytes: ByteView) throws(Failure) -> any TensorStorage {
    let size = tensor.type.bitCount / 8
    let unit = tensor.storage.type == nil ? 1 : size
    guard Checked.product(tensor.storage.count, unit) == bytes.count else {
      throw Failure(
        .data, "pt.storage-size",
        "its storage has \(bytes.count) bytes, but the pickle says \(tensor.storage.count) elements of \(unit) bytes")
    }
    guard tensor.shape.count <= maximumRank else {
      throw Failure(.data, "limit.rank", "has \(tensor.shape.count) dimensions; at most \(maximumRank) are supported")
    }
    let bad = Failure(.data, "pt.view", "shape \(tensor.shape) at \(tensor.offset) with strides \(tensor.strides) exceeds its storage")
    guard tensor.strides.count == tensor.shape.count, tensor.offset >= 0, tensor.shape.allSatisfy({ $0 >= 0 }),
      tensor.strides.allSatisfy({ $0 >= 0 }), Checked.product(of: tensor.shape.lazy.filter { $0 != 0 }) != nil
    else { throw bad }
    let count = tensor.shape.reduce(1, *)
    if count == 0 {
      // Nothing in the file bounds the other dimensions of a tensor without elements.
      guard tensor.shape.allSatisfy({ $0 <= Int(Int32.max) }) else { throw bad }
      return PlainStorage(tensor.type, ByteView([]))
    }
    // From the first element to the last.
    var span = 1
    for (length, stride) in zip(tensor.shape, tensor.strides) {
      guard let reach = Checked.product(length - 1, stride), let sum = Checked.sum(span, reach) else { throw bad }
      span = sum
    }
    guard let first = Checked.product(tensor.offset, size), let length = Checked.product(span, size),
      let end = Checked.sum(first, length), let view = bytes.slice(first..<end)
    else { throw bad }
    if isContiguous(tensor) { return PlainStorage(tensor.type, view) }
    // Elements that are used several times would make a tensor larger than the file.
    guard tensor.shape.count == 2, count <= span, tensor.strides.allSatisfy({ $0 > 0 }) else {
      throw Failure(
        .unsupported, "pt.strides",
        "is a view with strides \(tensor.strides); strided views are supported only for matrices without repeated elements",
        remedy: "Save .contiguous() tensors.")
    }
    return StridedStorage(
      elementType: tensor.type, bytes: view, rowStride: tensor.strides[0], columnStride: tensor.strides[1], byteCount: count * size)
  }

  /// Whether the elements are contiguous. Strides of dimensions of length 1 mean nothing.
  private static func isContiguous(_ tensor: PickledTensor) -> Bool {
    var expected = 1
    for (length, stride) in zip(tensor.shape, tensor.strides).reversed() where length != 1 {
      guard stride == expected else { return false }
      expected *= length
    }
    return true
  }
}
