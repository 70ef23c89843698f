import CKernels

/// A matrix of short floats with separate scales, as compressed-tensors, vLLM, ModelOpt and gpt-oss store it: codes in rows (two
/// of 4 bits to a byte, the even column in the low half), scales in rows of tiles.
public struct ScaledFloatStorage: QuantizedStorage {
  public var scheme: any Scheme { rule }
  public let byteCount: Int
  public let verbatim: ByteView? = nil

  private let rule: any ScaledFloatScheme
  private let codes: ByteView
  private let scales: PlainStorage
  private let scalesPerRow: Int
  private let globalScale: Float?

  /// The logical tensor that stored codes and scales make up.
  /// - Parameters:
  ///   - shape: of the weights, if it does not follow from that of the codes.
  ///   - scheme: its grid says what is stored; scales may have any type whose values the grid's scale type holds.
  ///   - globalScale: the scale of the whole tensor, if the grid has one.
  /// - Throws: `Failure` `float.weight`, `float.scales` or `float.scale` if types, sizes or values do not fit the scheme.
  public static func tensor(
    name: String, shape: [Int]? = nil, scheme: any ScaledFloatScheme, codes: CheckpointTensor, scales: CheckpointTensor,
    globalScale: CheckpointTensor? = nil
  ) throws(Failure) -> CheckpointTensor {
    let bits = scheme.element.bitCount
    let type = scheme.element.codeType
    guard codes.storage.schemeName == type.schemeName, let bytes = codes.storage.verbatim, shape != nil || codes.shape.count == 2 else {
      throw Failure(
        .data, "float.weight",
        "codes of \(scheme.name) are a matrix of \(type.rawValue), not \(codes.storage.schemeName) of shape \(codes.shape)",
        tensor: codes.name)
    }
    let shape = shape ?? [codes.shape[0], Checked.product(codes.shape[1], 8 / bits) ?? 0]
    guard let columns = shape.last, columns > 0, bytes.count > 0, let count = Checked.product(of: shape),
      Checked.product(bytes.count, 8 / bits) == count, bits == 8 || columns.isMultiple(of: 2), scheme.fits(columns: columns)
    else {
      throw Failure(.data, "float.weight", "weights of shape \(shape) cannot be stored as \(scheme.name)", tensor: name)
    }
    let scaleShape = scheme.grid.scaleShape(rows: count / columns, columns: columns)
    guard let scaleType = scaleType(of: scales, in: scheme.grid), let scaleBytes = scales.storage.verbatim,
      scaleBytes.count == scaleShape.reduce(scaleType.bitCount / 8, *)
    else {
      throw Failure(
        .data, "float.scales",
        "has scales of type \(scales.storage.schemeName) and shape \(scales.shape), but \(scheme.name) needs \(scaleShape)", tensor: name)
    }
    guard (scheme.grid.globalScale == nil) == (globalScale == nil) else {
      throw Failure(.data, "float.scale", "a scale of the whole tensor is missing, or \(scheme.name) has none", tensor: name)
    }
    let number = try globalScale.map { (tensor) throws(Failure) in try scale(tensor) }
    return CheckpointTensor(
      name: name, shape: shape,
      storage: ScaledFloatStorage(
        byteCount: bytes.count + scaleBytes.count + (number == nil ? 0 : 4), rule: scheme, codes: bytes,
        scales: PlainStorage(scaleType, scaleBytes), scalesPerRow: scaleShape.last ?? 1, globalScale: number))
  }

  /// The one positive value that a tensor holds.
  /// - Throws: `Failure` `float.scale` if it has another number of values, or one that is not positive and finite.
  public static func scale(_ tensor: CheckpointTensor) throws(Failure) -> Float {
    guard tensor.shape.isEmpty || tensor.shape == [1], tensor.storage.isNumeric, let value = tensor.matrix().values.first, value.isFinite,
      value > 0
    else { throw Failure(.data, "float.scale", "the stored scale is not one positive, finite value", tensor: tensor.name) }
    return value
  }

  /// The type in which scales are stored, or nil if the grid does not allow it. Powers of two may be stored as U8.
  private static func scaleType(of scales: CheckpointTensor, in grid: Grid) -> ElementType? {
    let stored = scales.storage.schemeName
    if grid.scaleType == .f8e8m0 { return [ElementType.u8, .f8e8m0].contains { $0.schemeName == stored } ? .f8e8m0 : nil }
    if stored == grid.scaleType.schemeName { return grid.scaleType }
    // The values of these types are exact as 32-bit floats.
    return grid.scaleType == .f32 ? [ElementType.bf16, .f16, .f8e8m0].first { $0.schemeName == stored } : nil
  }

  public func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let length = rule.groupLength(columns: rowLength)
    let bytesPerRow = rowLength * rule.element.bitCount / 8
    withUnsafeTemporaryAllocation(of: Float.self, capacity: scalesPerRow + 2) { scratch in
      guard let multipliers = scratch.baseAddress else { return }
      var tileRow = -1
      codes.withUnsafeBytes { codes in
        guard let base = codes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return }
        for row in rows {
          let needed = rule.grid.tileRows.map { row / $0 } ?? 0
          if needed != tileRow {
            tileRow = needed
            fillMultipliers(multipliers, tileRow: tileRow)
          }
          let target = destination + (row - rows.lowerBound) * rowLength
          if rule.element.bitCount == 4 {
            qc_nibble_values(base + row * bytesPerRow, rowLength, length, multipliers, target)
          } else {
            qc_byte_values(
              base + row * bytesPerRow, rowLength, length, multipliers, rule.element.kernelElement, target)
          }
        }
      }
    }
  }

  /// - Parameter result: has room for two more floats, used as scratch for the parameters of one tile.
  private func fillMultipliers(_ result: UnsafeMutablePointer<Float>, tileRow: Int) {
    scales.decode(rows: tileRow..<tileRow + 1, rowLength: scalesPerRow, into: result)
    let tile = result + scalesPerRow
    tile[1] = globalScale ?? 1
    for group in 0..<scalesPerRow {
      tile[0] = result[group]
      result[group] = rule.multiplier(tile)
    }
  }

  public func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = rule.emptyPanel(rows: rows.count, columns: rowLength)
    let perByte = 8 / rule.element.bitCount
    codes.withUnsafeBytes { codes in
      let start = rows.lowerBound * rowLength
      for index in panel.codes.indices {
        let byte = Int32(codes[(start + index) / perByte])
        panel.codes[index] = perByte == 1 ? byte : index.isMultiple(of: 2) ? byte & 15 : byte >> 4
      }
    }
    let first = rule.grid.tileRows.map { rows.lowerBound / $0 } ?? 0
    let values = [Float](unsafeUninitializedCapacity: panel.tileRowCount * scalesPerRow) { buffer, count in
      count = panel.tileRowCount * scalesPerRow
      if let base = buffer.baseAddress { scales.decode(rows: first..<first + panel.tileRowCount, rowLength: scalesPerRow, into: base) }
    }
    guard let globalScale else {
      panel.parameters = values
      return panel
    }
    for (index, value) in values.enumerated() {
      panel.parameters[2 * index] = value
      panel.parameters[2 * index + 1] = globalScale
    }
    return panel
  }
}
