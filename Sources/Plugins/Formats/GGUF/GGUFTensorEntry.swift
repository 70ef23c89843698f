import QuantCore

/// One row of the table of tensors: name, dimensions (innermost first), type, offset.
enum GGUFTensorEntry {
  static func read(_ reader: inout ByteReader) throws(Failure) -> GGUFHeader.Tensor {
    let start = reader.offset
    let name = try name(&reader)
    do {
      let dimensions = try dimensions(&reader)
      let type = try type(&reader)
      let offset = try reader.u64(GGUFHeader.truncated("tensor table"))
      let byteCount = try byteCount(dimensions, type)
      return GGUFHeader.Tensor(
        name: name, shape: dimensions.reversed(), type: type, byteCount: byteCount, offset: offset, entryOffset: start)
    } catch {
      throw error.inTensor(name).atByte(start)
    }
  }

  private static func name(_ reader: inout ByteReader) throws(Failure) -> String {
    let start = reader.offset
    let length = try reader.u64(GGUFHeader.truncated("tensor table"))
    guard length > 0 else { throw Failure(.data, "gg.tensor.name-empty", "a tensor has an empty name", byteOffset: start) }
    guard length <= UInt64(GGUFHeader.maximumNameBytes) else {
      throw Failure(
        .data, "gg.tensor.name-length", "a tensor name claims \(length) bytes; at most \(GGUFHeader.maximumNameBytes) are allowed",
        byteOffset: start)
    }
    let bytes = try reader.view(Int(length), GGUFHeader.truncated("tensor table")).bytes
    guard let name = String(validating: bytes, as: UTF8.self),
      !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
    else {
      throw Failure(
        .data, "gg.tensor.name-charset", "a tensor name contains control characters or is not UTF-8", byteOffset: start)
    }
    return name
  }

  /// Dimensions, innermost first.
  private static func dimensions(_ reader: inout ByteReader) throws(Failure) -> [Int] {
    let rank = try reader.u32(GGUFHeader.truncated("tensor table"))
    guard rank >= 1, rank <= UInt32(GGUFHeader.maximumRank) else {
      throw Failure(.data, "gg.tensor.rank", "has \(rank) dimensions instead of 1 to \(GGUFHeader.maximumRank)")
    }
    var dimensions: [Int] = []
    for _ in 0..<rank {
      let stored = try reader.u64(GGUFHeader.truncated("tensor table"))
      guard let size = Int(exactly: stored) else {
        throw Failure(.data, "gg.tensor.dim", "has the impossible dimension \(stored)")
      }
      dimensions.append(size)
    }
    // In both orders, because rows are counted from the outermost dimension: no partial product may overflow.
    guard Checked.product(of: dimensions) != nil, Checked.product(of: dimensions.reversed()) != nil else {
      throw GGUFHeader.overflow
    }
    guard dimensions.allSatisfy({ $0 > 0 }) else { throw Failure(.data, "gg.tensor.zero-dim", "has a dimension of 0") }
    return dimensions
  }

  private static func type(_ reader: inout ByteReader) throws(Failure) -> GGUFTensorType {
    let id = try reader.u32(GGUFHeader.truncated("tensor table"))
    if let type = GGUFTensorType.type(id: id) { return type }
    if GGUFTensorType.removedIDs.contains(id) {
      throw Failure(
        .data, "gg.tensor.type-removed", "has type \(id), which was removed from the format",
        remedy: "Convert the model from its source again.")
    }
    throw Failure(.data, "gg.tensor.type", "has the unknown type \(id)")
  }

  private static func byteCount(_ dimensions: [Int], _ type: GGUFTensorType) throws(Failure) -> Int {
    let rowLength = dimensions[0]
    guard rowLength % type.blockLength == 0 else {
      throw Failure(
        .data, "gg.tensor.block", "has rows of \(rowLength) weights, not a multiple of the \(type.blockLength) of a \(type.name) block")
    }
    guard let elements = Checked.product(of: dimensions),
      let bytes = Checked.product(elements / type.blockLength, type.blockBytes)
    else { throw GGUFHeader.overflow }
    return bytes
  }
}
