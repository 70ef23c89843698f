import QuantCore

/// A weight of an AWQ checkpoint, assembled from its parts.
enum AWQWeight {
  /// - Parameters:
  ///   - groupLength: inputs per group; nil for all.
  ///   - parts: by suffix; `qweight`, `qzeros` and `scales` must be there.
  /// - Throws: `Failure` if the shapes do not fit one another or the configuration.
  static func tensor(_ module: String, groupLength: Int?, parts: [String: CheckpointTensor]) throws(Failure) -> CheckpointTensor {
    let name = module + ".weight"
    let layout = AWQGEMM.layout
    guard let qweight = parts["qweight"], let words = words(qweight), let qzeros = parts["qzeros"], let zeroWords = self.words(qzeros),
      let scales = parts["scales"], scales.shape.count == 2
    else { throw Failure(.data, "awq.parts", "codes or zero points are not a matrix of I32, or scales not a matrix", tensor: name) }
    let (inputs, outputs, width) = (qweight.shape[0], scales.shape[1], qweight.shape[1])
    guard inputs > 0, outputs > 0, Checked.product(width, layout.perWord) == outputs else {
      throw Failure(
        .data, "awq.shape", "has codes of shape \(qweight.shape) and scales of shape \(scales.shape), but eight outputs share a word",
        tensor: name)
    }
    let length = groupLength ?? inputs
    guard inputs.isMultiple(of: length) else {
      throw Failure(.data, "awq.group-size", "\(inputs) inputs are not a multiple of the group size \(length)", tensor: name)
    }
    let groups = inputs / length
    guard scales.shape[0] == groups,
      let stored = StoredScales(scales, rows: outputs, groups: groups, rowStride: 1, groupStride: outputs)
    else {
      throw Failure(
        .data, "awq.scales", "has scales of shape \(scales.shape), but needs floats of shape [\(groups), \(outputs)]",
        tensor: name)
    }
    guard qzeros.shape == [groups, width],
      let zeros = PackedIntegers(zeroWords, layout: layout, length: outputs, lines: groups, wordStride: 1, lineStride: width)
    else {
      throw Failure(
        .data, "awq.zero-points", "has zero points of shape \(qzeros.shape), but needs [\(groups), \(width)]", tensor: name)
    }
    let byteCount = parts.values.reduce(0) { $0 + $1.storage.byteCount }
    guard let codes = PackedIntegers(words, layout: layout, length: outputs, lines: inputs, wordStride: 1, lineStride: width),
      let integers = IntegerParts(
        rows: outputs, columns: inputs, bits: layout.bits, groups: groups, codes: .downColumns(codes), scales: stored,
        zeros: .downRows(zeros)),
      let storage = IntegerStorage(integers, groupLength: groupLength, isSymmetric: false, byteCount: byteCount)
    else { throw Failure(.data, "awq.parts", "codes, scales and zero points do not fit one another", tensor: name) }
    return CheckpointTensor(name: name, shape: [outputs, inputs], storage: storage)
  }

  /// The words of a matrix of I32.
  private static func words(_ tensor: CheckpointTensor) -> ByteView? {
    tensor.shape.count == 2 && tensor.storage.elementType == .i32 ? tensor.storage.verbatim : nil
  }
}
