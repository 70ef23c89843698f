import QuantCore

extension GGUFHeader {
  /// Byte range of each tensor in the file.
  ///
  /// Tensors must follow each other in the order of the table, each padded to the alignment: llama.cpp reads no other
  /// layout, and every gap or overlap leaves room for data that only some clients see.
  /// - Returns: the ranges, and whether the padding after the last tensor is missing (harmless: some writers omit it).
  func layout(fileSize: Int) throws(Failure) -> (ranges: [Range<Int>], lacksPadding: Bool) {
    try checkOffsets()
    guard dataStart <= fileSize || tensors.isEmpty else { throw GGUFHeader.cutOff(by: dataStart - fileSize, at: fileSize) }
    var ranges: [Range<Int>] = []
    var position = 0
    for tensor in tensors {
      guard let offset = Int(exactly: tensor.offset) else { throw GGUFHeader.overflow.inTensor(tensor.name).atByte(tensor.entryOffset) }
      guard offset >= position else {
        throw Failure(
          .data, "gg.overlap", "shares bytes with the tensor before it", tensor: tensor.name, byteOffset: tensor.entryOffset)
      }
      guard offset == position else {
        throw Failure(
          .data, "gg.hole", "is preceded by a gap of \(offset - position) bytes", tensor: tensor.name,
          byteOffset: tensor.entryOffset)
      }
      guard let start = Checked.sum(dataStart, offset), let end = Checked.sum(start, tensor.byteCount) else {
        throw GGUFHeader.cutOff(by: nil, at: fileSize).inTensor(tensor.name)
      }
      guard end <= fileSize else { throw GGUFHeader.cutOff(by: end - fileSize, at: fileSize).inTensor(tensor.name) }
      ranges.append(start..<end)
      guard let next = Checked.aligned(offset + tensor.byteCount, to: alignment) else {
        throw GGUFHeader.overflow.inTensor(tensor.name).atByte(tensor.entryOffset)
      }
      position = next
    }
    guard let end = Checked.sum(dataStart, position) else { throw GGUFHeader.overflow.atByte(dataStart) }
    if fileSize > end {
      throw Failure(.data, "gg.trailing-bytes", "has \(fileSize - end) bytes after the last tensor", byteOffset: end)
    }
    return (ranges, !tensors.isEmpty && fileSize < end)
  }

  /// The first byte of the padding that is not zero: harmless to clients, but someone may have hidden data there.
  /// - Parameter ranges: the tensors, as returned by `layout`.
  func firstHiddenByte(of file: ByteView, between ranges: [Range<Int>]) -> Int? {
    let ends = [tableEnd] + ranges.map { $0.upperBound }
    let starts = [min(dataStart, file.count)] + ranges.dropFirst().map { $0.lowerBound } + [file.count]
    return file.withUnsafeBytes { bytes in
      for (end, start) in zip(ends, starts) where end < start {
        if let place = (end..<start).first(where: { bytes[$0] != 0 }) { return place }
      }
      return nil
    }
  }

  /// Checks the offsets alone, so that an inconsistent table is not reported as an incomplete file.
  private func checkOffsets() throws(Failure) {
    var total = 0
    var previous: UInt64 = 0
    for tensor in tensors {
      guard let sum = Checked.sum(total, tensor.byteCount) else {
        throw Failure(
          .data, "gg.overflow", "the total size of the tensors does not fit in 64 bits", tensor: tensor.name,
          byteOffset: tensor.entryOffset)
      }
      total = sum
    }
    for tensor in tensors {
      let problem: (String, String)? =
        if tensor.offset > UInt64(Int.max) {
          ("gg.offset.range", "has the impossible offset \(tensor.offset)")
        } else if tensor.offset % UInt64(alignment) != 0 {
          ("gg.offset.unaligned", "has the offset \(tensor.offset), which is not a multiple of the alignment \(alignment)")
        } else if tensor.offset < previous {
          ("gg.offset.order", "is stored before its predecessor in the table, an order that llama.cpp does not read")
        } else {
          nil
        }
      if let (id, message) = problem {
        throw Failure(.data, id, message, tensor: tensor.name, byteOffset: tensor.entryOffset)
      }
      previous = tensor.offset
    }
  }

  private static func cutOff(by missing: Int?, at fileSize: Int) -> Failure {
    let amount = missing.map { "\($0) bytes are" } ?? "more bytes than a file can hold are"
    return Failure(.data, "gg.truncated", "is cut off inside the data: \(amount) missing", byteOffset: fileSize, remedy: again)
  }
}
