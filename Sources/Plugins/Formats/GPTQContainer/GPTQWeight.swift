import QuantCore

/// A weight of a GPTQ checkpoint, assembled from its parts.
enum GPTQWeight {
  /// - Parameter parts: by suffix; `qweight`, `qzeros` and `scales` must be there.
  /// - Throws: `Failure` if the shapes do not fit one another or the configuration.
  static func tensor(
    _ module: String, _ settings: GPTQConfiguration.Settings, parts: [String: CheckpointTensor], zeros: GPTQZeros
  ) throws(Failure) -> CheckpointTensor {
    let name = module + ".weight"
    let bits = settings.bits
    let layout = WordLayout(bits: bits)
    guard let qweight = parts["qweight"], let words = words(qweight), let qzeros = parts["qzeros"], let zeroWords = self.words(qzeros),
      let scales = parts["scales"], scales.shape.count == 2
    else { throw Failure(.data, "gptq.parts", "codes or zero points are not a matrix of I32, or scales not a matrix", tensor: name) }
    let outputs = qweight.shape[1]
    guard let inputs = parts["g_idx"]?.shape.first ?? Checked.product(qweight.shape[0], 32).map({ $0 / bits }), inputs > 0, outputs > 0,
      inputs <= 1 << 40, layout.words(for: inputs) == qweight.shape[0]
    else {
      throw Failure(
        .data, "gptq.shape",
        "has codes of shape \(qweight.shape), which does not fit \(bits)-bit codes"
          + (parts["g_idx"].map { " of \($0.shape) inputs" } ?? ""), tensor: name)
    }
    let length = settings.groupLength ?? inputs
    guard inputs.isMultiple(of: length) else {
      throw Failure(.data, "gptq.group-size", "\(inputs) inputs are not a multiple of the group size \(length)", tensor: name)
    }
    let groups = inputs / length
    guard scales.shape == [groups, outputs],
      let stored = StoredScales(scales, rows: outputs, groups: groups, rowStride: 1, groupStride: outputs)
    else {
      throw Failure(
        .data, "gptq.scales", "has scales of shape \(scales.shape), but needs floats of shape [\(groups), \(outputs)]",
        tensor: name)
    }
    let width = layout.words(for: outputs)
    guard qzeros.shape == [groups, width],
      let packedZeros = zeros.points(zeroWords, bits: bits, outputs: outputs, groups: groups)
    else {
      throw Failure(
        .data, "gptq.zero-points", "has zero points of shape \(qzeros.shape), but needs [\(groups), \(width)]", tensor: name)
    }
    guard
      let codes = PackedIntegers(words, layout: layout, length: inputs, lines: outputs, wordStride: outputs, lineStride: 1),
      let integers = IntegerParts(
        rows: outputs, columns: inputs, bits: bits, groups: groups, codes: .alongRows(codes), scales: stored, zeros: .downRows(packedZeros))
    else { throw Failure(.data, "gptq.parts", "codes, scales and zero points do not fit one another", tensor: name) }
    // Clients that use zero points use the stored ones, no matter what the configuration says.
    let isSymmetric = settings.isSymmetric && packedZeros.areAll(1 << Int32(bits - 1))
    let order = try GroupOrder(parts["g_idx"], columns: inputs, groups: groups, tensor: name)
    let byteCount = parts.values.reduce(0) { $0 + $1.storage.byteCount }
    return CheckpointTensor(
      name: name, shape: [outputs, inputs],
      storage: try order.storage(
        integers, groupLength: settings.groupLength, isSymmetric: isSymmetric, byteCount: byteCount, tensor: name))
  }

  /// The words of a matrix of I32.
  static func words(_ tensor: CheckpointTensor) -> ByteView? {
    tensor.shape.count == 2 && tensor.storage.elementType == .i32 ? tensor.storage.verbatim : nil
  }
}
