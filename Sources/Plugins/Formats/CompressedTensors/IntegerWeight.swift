import QuantCore

/// An integer weight of a compressed-tensors checkpoint, assembled from its parts.
enum IntegerWeight {
  /// A weight in the `pack-quantized` packing.
  /// - Throws: `Failure` if the shapes do not fit one another or the configuration.
  static func packed(
    name: String, arguments: QuantizationConfiguration.Arguments, parts: [String: CheckpointTensor]
  ) throws -> CheckpointTensor? {
    guard let packed = parts["_packed"], let scale = parts["_scale"] else { return nil }
    guard packed.storage.elementType == .i32, let words = packed.storage.verbatim, packed.shape.count == 2,
      let lengths = shape(parts["_shape"])
    else { throw Failure(.data, "ct.shape", "the stored shape is not two integers, or the codes are not a matrix of I32", tensor: name) }
    let (rows, columns) = (lengths[0], lengths[1])
    // The words in the file bound the columns, so that nothing below can overflow.
    guard rows == packed.shape[0], rows > 0, columns > 0, let most = Checked.product(packed.shape[1], 32), columns <= most,
      let layout = layout(arguments.bits, codes: columns, words: packed.shape[1]),
      let codes = PackedIntegers(
        words, layout: layout, length: columns, lines: rows, wordStride: 1, lineStride: max(1, packed.shape[1]))
    else {
      throw Failure(.data, "ct.shape", "the stored shape \(lengths) does not fit codes of shape \(packed.shape)", tensor: name)
    }
    return try make(name, arguments, shape: lengths, codes: .alongRows(codes), scale: scale, parts: parts)
  }

  /// Codes without gaps, as versions from 0.18 on write them, or only whole codes in each word, as earlier ones did.
  private static func layout(_ bits: Int, codes: Int, words: Int) -> WordLayout? {
    [true, false].lazy.map { WordLayout(bits: bits, isDense: $0) }.first { $0.words(for: codes) == words }
  }

  private static func shape(_ tensor: CheckpointTensor?) -> [Int]? {
    guard let tensor, tensor.storage.elementType == .i64, let bytes = tensor.storage.verbatim, bytes.count == 16 else { return nil }
    return bytes.withUnsafeBytes { raw in
      [0, 8].map { Int(exactly: Int64(littleEndian: raw.loadUnaligned(fromByteOffset: $0, as: Int64.self))) ?? -1 }
    }
  }

  /// A weight in the `int-quantized` packing.
  /// - Throws: `Failure` if the shapes do not fit one another or the configuration.
  static func bytes(
    name: String, arguments: QuantizationConfiguration.Arguments, parts: [String: CheckpointTensor]
  ) throws -> CheckpointTensor? {
    guard let weight = parts[""], let scale = parts["_scale"] else { return nil }
    guard weight.storage.elementType == .i8, weight.shape.count == 2, weight.shape[0] > 0, weight.shape[1] > 0,
      let bytes = weight.storage.verbatim
    else { throw Failure(.data, "ct.weight", "must be a matrix of signed bytes in the int-quantized packing", tensor: name) }
    return try make(name, arguments, shape: weight.shape, codes: .signedBytes(bytes), scale: scale, parts: parts)
  }

  private static func make(
    _ name: String, _ arguments: QuantizationConfiguration.Arguments, shape: [Int], codes: IntegerParts.Codes, scale: CheckpointTensor,
    parts: [String: CheckpointTensor]
  ) throws -> CheckpointTensor {
    let (rows, columns) = (shape[0], shape[1])
    var length: Int?
    switch arguments.level {
    case .tensor, .channel: break
    case .group(let given): length = given
    case .block, .tensorGroup:
      throw Failure(.unsupported, "ct.strategy", "has integers with a scale per block, which are not supported", tensor: name)
    }
    guard !arguments.isFloat, (2...8).contains(arguments.bits) else {
      throw Failure(
        .unsupported, "ct.strategy", "has \(arguments.bits)-bit codes; only integers of 2 to 8 bits are supported", tensor: name)
    }
    guard columns.isMultiple(of: length ?? columns) else {
      throw Failure(
        .data, "ct.group-size", "rows of \(columns) weights are not a multiple of the group size \(length ?? columns)", tensor: name)
    }
    let groups = columns / (length ?? columns)
    let isWhole = arguments.level == .tensor
    guard scale.shape == (isWhole ? [1] : [rows, groups]) || isWhole && scale.shape.isEmpty,
      let scales = StoredScales(scale, rows: rows, groups: groups, rowStride: isWhole ? 0 : groups, groupStride: isWhole ? 0 : 1)
    else {
      throw Failure(
        .data, "ct.scales", "has scales of shape \(scale.shape), but needs floats of shape [\(rows), \(groups)]", tensor: name)
    }
    let zeros = try zeros(name, arguments, rows: rows, groups: groups, parts["_zero_point"])
    guard
      let integers = IntegerParts(
        rows: rows, columns: columns, bits: arguments.bits, groups: groups, codes: codes, scales: scales, zeros: zeros)
    else { throw Failure(.data, "ct.parts", "codes, scales and zero points do not fit one another", tensor: name) }
    let byteCount = parts.values.reduce(0) { $0 + $1.storage.byteCount }
    let order = try GroupOrder(parts["_g_idx"], columns: columns, groups: groups, tensor: name)
    return CheckpointTensor(
      name: name, shape: shape,
      storage: try order.storage(integers, groupLength: length, isSymmetric: arguments.isSymmetric, byteCount: byteCount, tensor: name))
  }

  private static func zeros(
    _ name: String, _ arguments: QuantizationConfiguration.Arguments, rows: Int, groups: Int, _ tensor: CheckpointTensor?
  ) throws(Failure) -> IntegerParts.Zeros {
    if arguments.isSymmetric { return .middle }
    if let tensor, let bytes = tensor.storage.verbatim, arguments.level != .tensor {
      if tensor.storage.elementType == .i8, tensor.shape == [rows, groups] { return .signedBytes(bytes) }
      if tensor.storage.elementType == .i32, tensor.shape.count == 2, tensor.shape[1] == groups,
        let layout = layout(arguments.bits, codes: rows, words: tensor.shape[0]),
        let packed = PackedIntegers(bytes, layout: layout, length: rows, lines: groups, wordStride: groups, lineStride: 1)
      {
        return .downRows(packed)
      }
    }
    throw Failure(.data, "ct.zero-points", "the zero points are missing or have the wrong shape or type", tensor: name)
  }
}
