import QuantCore

/// A quantized weight of a compressed-tensors checkpoint as numbers, decoded row by row.
struct IntegerStorage: QuantizedStorage {
  let scheme: any Scheme
  let byteCount: Int
  let verbatim: ByteView? = nil

  private let codes: ByteView
  private let scales: ByteView
  private let scaleType: ElementType
  private let zeros: ByteView?
  /// 8 for one signed byte per code, 4 or 8 unsigned where packed into words.
  private let bits: Int
  private let isPacked: Bool
  private let groupLength: Int
  private let groups: Int
  private let bytesPerRow: Int

  /// A weight of the `pack-quantized` layout.
  /// - Throws: `Failure` where the shapes do not fit one another or the configuration.
  static func packed(
    name: String, arguments: QuantizationConfiguration.Arguments, packed: CheckpointTensor, scale: CheckpointTensor,
    zero: CheckpointTensor?, shape: CheckpointTensor?
  ) throws -> CheckpointTensor {
    guard let shapeBytes = shape?.storage.verbatim, shapeBytes.count == 16, packed.shape.count == 2 else {
      throw Failure(.data, "ct.shape", "the stored shape is missing or not two numbers", tensor: name)
    }
    let lengths = shapeBytes.withUnsafeBytes { raw in
      [0, 8].map { Int(exactly: Int64(littleEndian: raw.loadUnaligned(fromByteOffset: $0, as: Int64.self))) ?? -1 }
    }
    let perWord = PackedIntegers.perWord(bits: arguments.bits)
    // With at least one row, columns are bounded by words that are in the file, and nothing below can overflow.
    guard lengths[0] == packed.shape[0], lengths[0] > 0, lengths[1] > 0,
      let most = Checked.product(packed.shape[1], perWord), lengths[1] <= most,
      PackedIntegers.words(count: lengths[1], bits: arguments.bits) == packed.shape[1]
    else {
      throw Failure(.data, "ct.shape", "the stored shape \(lengths) does not fit codes of shape \(packed.shape)", tensor: name)
    }
    return try make(
      name: name, arguments: arguments, shape: lengths, codes: packed, bytesPerRow: packed.shape[1] * 4, scale: scale, zero: zero,
      isPacked: true, byteCount: packed.storage.byteCount + scale.storage.byteCount + (zero?.storage.byteCount ?? 0) + 16)
  }

  /// A weight of the `int-quantized` layout.
  static func bytes(
    name: String, arguments: QuantizationConfiguration.Arguments, weight: CheckpointTensor, scale: CheckpointTensor
  ) throws -> CheckpointTensor {
    guard weight.storage.schemeName == "i8", weight.shape.count == 2, weight.shape[0] > 0, arguments.isSymmetric else {
      throw Failure(.data, "ct.weight", "an int-quantized weight is a matrix of signed bytes", tensor: name)
    }
    return try make(
      name: name, arguments: arguments, shape: weight.shape, codes: weight, bytesPerRow: weight.shape[1], scale: scale, zero: nil,
      isPacked: false, byteCount: weight.storage.byteCount + scale.storage.byteCount)
  }

  private static func make(
    name: String, arguments: QuantizationConfiguration.Arguments, shape: [Int], codes: CheckpointTensor, bytesPerRow: Int,
    scale: CheckpointTensor, zero: CheckpointTensor?, isPacked: Bool, byteCount: Int
  ) throws -> CheckpointTensor {
    switch arguments.level {
    case .channel where !arguments.isFloat, .group where !arguments.isFloat: break
    default: throw Failure(.unsupported, "ct.strategy", "integers with a scale per tensor or block are not read", tensor: name)
    }
    let length = arguments.groupLength ?? shape[1]
    let scaleType: ElementType? = [.bf16, .f16, .f32].first { $0.schemeName == scale.storage.schemeName }
    guard let scaleType, let codeBytes = codes.storage.verbatim, let scaleBytes = scale.storage.verbatim, length > 0,
      shape[1].isMultiple(of: length), codeBytes.count == shape[0] * bytesPerRow
    else { throw Failure(.data, "ct.parts", "codes and scales do not fit one another", tensor: name) }
    let groups = shape[1] / length
    guard scaleBytes.count == shape[0] * groups * scaleType.bitCount / 8 else {
      throw Failure(
        .data, "ct.scales", "has scales of shape \(scale.shape) where [\(shape[0]), \(groups)] is needed", tensor: name)
    }
    if !arguments.isSymmetric {
      let words = PackedIntegers.words(count: shape[0], bits: arguments.bits)
      guard let count = zero?.storage.verbatim?.count, count == words * groups * 4 else {
        throw Failure(.data, "ct.zero-points", "the zero points are missing or of the wrong shape", tensor: name)
      }
    }
    guard
      let scheme = IntegerScheme(
        bits: arguments.bits, groupLength: arguments.groupLength, isSymmetric: arguments.isSymmetric, modelType: scaleType)
    else { throw Failure(.unsupported, "ct.strategy", "codes of \(arguments.bits) bits are not read", tensor: name) }
    let storage = IntegerStorage(
      scheme: scheme, byteCount: byteCount, codes: codeBytes, scales: scaleBytes,
      scaleType: scaleType, zeros: arguments.isSymmetric ? nil : zero?.storage.verbatim, bits: arguments.bits, isPacked: isPacked,
      groupLength: length, groups: groups, bytesPerRow: bytesPerRow)
    return CheckpointTensor(name: name, shape: shape, storage: storage)
  }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let offset: Float = isPacked ? Float(1 << (bits - 1)) : 0
    codes.withUnsafeBytes { codes in
      guard let base = codes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
      for row in rows {
        let source = base + row * bytesPerRow
        let target = destination + (row - rows.lowerBound) * rowLength
        for group in 0..<groups {
          let scale = scale(row * groups + group)
          let zero = zero(row, group) ?? offset
          for column in group * groupLength..<(group + 1) * groupLength {
            let code = isPacked ? Float(PackedIntegers.get(column, bits: bits, from: source)) : Float(Int8(bitPattern: source[column]))
            target[column] = (code - zero) * scale
          }
        }
      }
    }
  }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: rows.count, columns: rowLength)
    let offset: Int32 = isPacked && zeros == nil ? 1 << Int32(bits - 1) : 0
    codes.withUnsafeBytes { codes in
      guard let base = codes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
      for (local, row) in rows.enumerated() {
        let source = base + row * bytesPerRow
        for column in 0..<rowLength {
          panel.codes[local * rowLength + column] =
            isPacked ? Int32(PackedIntegers.get(column, bits: bits, from: source)) - offset : Int32(Int8(bitPattern: source[column]))
        }
        for group in 0..<groups {
          let index = panel.parameterIndex(row: local, group: group)
          panel.parameters[index] = scale(row * groups + group)
          if let zero = zero(row, group) { panel.parameters[index + 1] = zero }
        }
      }
    }
    return panel
  }

  /// The zero point of a group, or nil where groups are symmetric.
  private func zero(_ row: Int, _ group: Int) -> Float? {
    zeros?.withUnsafeBytes { words in
      guard let base = words.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return 0 }
      let perWord = PackedIntegers.perWord(bits: bits)
      return Float(PackedIntegers.get(row % perWord, bits: bits, from: base + (row / perWord * groups + group) * 4))
    }
  }

  private func scale(_ index: Int) -> Float { StoredScales.value(index, as: scaleType, in: scales) }
}
