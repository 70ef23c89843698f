import QuantCore

/// An FP8 weight of a compressed-tensors checkpoint as numbers, decoded row by row.
struct Float8Storage: TensorStorage {
  let schemeName: String
  let byteCount: Int
  let verbatim: ByteView? = nil
  let isNumeric = true

  private let codes: ByteView
  private let scales: ByteView
  private let scaleType: ElementType
  /// Rows and columns that share a scale; nil for all.
  private let tileRows: Int?
  private let groupLength: Int?
  private let scalesPerRow: Int

  /// A weight of the `float-quantized` layout.
  /// - Throws: `Failure` where the shapes do not fit one another or the configuration.
  static func tensor(
    name: String, arguments: QuantizationConfiguration.Arguments, parts: [String: CheckpointTensor]
  ) throws -> CheckpointTensor? {
    guard let weight = parts[""], let scale = parts["_scale"] else { return nil }
    let level: Float8Scheme.Level? =
      switch arguments.level {
      case .tensor: .tensor
      case .channel: .channel
      case .block(let length): .block(length)
      case .group: nil
      }
    let scaleType: ElementType? = [.bf16, .f16, .f32].first { $0.schemeName == scale.storage.schemeName }
    guard let level, arguments.isFloat, arguments.bits == 8, arguments.isSymmetric else {
      throw Failure(
        .unsupported, "ct.strategy", "only FP8 without zero points and with a scale per tensor, channel or block is read", tensor: name)
    }
    guard let scaleType, let scheme = Float8Scheme(.f8e4m3, level: level, modelType: scaleType),
      weight.storage.schemeName == ElementType.f8e4m3.schemeName, weight.shape.count == 2, let codes = weight.storage.verbatim,
      let scales = scale.storage.verbatim, codes.count > 0, codes.count == Checked.product(weight.shape[0], weight.shape[1])
    else { throw Failure(.data, "ct.weight", "a float-quantized weight is a matrix of F8_E4M3 with scales beside it", tensor: name) }
    let grid = scheme.grid
    let shape = FloatQuantized.scaleShape(
      rows: weight.shape[0], columns: weight.shape[1], tileRows: grid.tileRows, groupLength: grid.groupLength)
    guard scales.count == shape.reduce(scaleType.bitCount / 8, *) else {
      throw Failure(.data, "ct.scales", "has scales of shape \(scale.shape) where \(shape) is needed", tensor: name)
    }
    let storage = Float8Storage(
      schemeName: scheme.name, byteCount: codes.count + scales.count, codes: codes, scales: scales, scaleType: scaleType,
      tileRows: grid.tileRows, groupLength: grid.groupLength, scalesPerRow: shape.last ?? 1)
    return CheckpointTensor(name: name, shape: weight.shape, storage: storage)
  }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let length = groupLength ?? rowLength
    codes.withUnsafeBytes { codes in
      for row in rows {
        let target = destination + (row - rows.lowerBound) * rowLength
        let first = tileRows.map { row / $0 * scalesPerRow } ?? 0
        for group in 0..<scalesPerRow {
          let scale = StoredScales.value(first + group, as: scaleType, in: scales)
          let start = group * length
          for column in start..<start + min(length, rowLength - start) {
            target[column] = NumberConversion.float(e4m3: codes[row * rowLength + column]) * scale
          }
        }
      }
    }
  }
}
