import QuantCore
import Synchronization

/// A weight of an MLX folder, assembled from its parts.
enum MLXWeight {
  /// - Parameters:
  ///   - name: of the weight.
  ///   - codes: `[out, words]` of 32 bits.
  ///   - minima: `biases`; nil for other modes than `affine`.
  /// - Throws: `Failure` `mlx.parts` if types or shapes do not fit one another or the settings.
  static func tensor(
    _ name: String, _ settings: MLXSettings, codes: CheckpointTensor, scales: CheckpointTensor, minima: CheckpointTensor?
  ) throws(Failure) -> CheckpointTensor {
    guard codes.shape.count == 2, codes.storage.elementType == .u32, let words = codes.storage.verbatim, scales.shape.count == 2,
      codes.shape[0] == scales.shape[0], let rows = codes.shape.first, rows > 0,
      let columns = Checked.product(scales.shape[1], settings.groupLength), columns > 0,
      Checked.product(codes.shape[1], 32) == Checked.product(columns, settings.bits)
    else {
      throw Failure(
        .data, "mlx.parts",
        "has codes of shape \(codes.shape) and scales of shape \(scales.shape), which do not fit \(settings.bits) bits "
          + "in groups of \(settings.groupLength)", tensor: name)
    }
    if let floats = settings.floats {
      return try tensor(name, shape: [rows, columns], floats, words: words, scales: scales)
    }
    guard let minima, minima.shape == scales.shape, minima.storage.schemeName == scales.storage.schemeName,
      let scaleValues = parameters(scales), let minimumValues = parameters(minima),
      let packed = PackedIntegers(
        words, layout: WordLayout(bits: settings.bits), length: columns, lines: rows, wordStride: 1, lineStride: codes.shape[1]),
      let storage = AffineStorage(
        codes: packed, scales: scaleValues, minima: minimumValues, settings: settings,
        byteCount: words.count + scales.storage.byteCount + minima.storage.byteCount)
    else {
      throw Failure(.data, "mlx.parts", "needs scales and biases that are floats of the same type and shape", tensor: name)
    }
    return CheckpointTensor(name: name, shape: [rows, columns], storage: storage)
  }

  private static func parameters(_ tensor: CheckpointTensor) -> StoredScales? {
    StoredScales(tensor, rows: tensor.shape[0], groups: tensor.shape[1], rowStride: tensor.shape[1], groupStride: 1)
  }

  /// MLX stores short floats in words, and their scales as bytes.
  private static func tensor(
    _ name: String, shape: [Int], _ scheme: any ScaledFloatScheme, words: ByteView, scales: CheckpointTensor
  ) throws(Failure) -> CheckpointTensor {
    guard let bytes = scales.storage.verbatim, scales.storage.elementType == .u8 else {
      throw Failure(.data, "mlx.parts", "scales of \(scheme.name) are bytes, not \(scales.storage.schemeName)", tensor: name)
    }
    let type = scheme.element.codeType
    return try ScaledFloatStorage.tensor(
      name: name, shape: shape, scheme: scheme, codes: CheckpointTensor(name: name, shape: shape, storage: PlainStorage(type, words)),
      scales: CheckpointTensor(name: scales.name, shape: scales.shape, storage: PlainStorage(scheme.grid.scaleType, bytes)))
  }
}

/// Affine groups as MLX stores them.
private struct AffineStorage: QuantizedStorage {
  var scheme: any Scheme { affine }
  let byteCount: Int
  let verbatim: ByteView? = nil
  private let affine: AffineScheme
  private let codes: PackedIntegers
  private let scales: StoredScales
  private let minima: StoredScales

  init?(codes: PackedIntegers, scales: StoredScales, minima: StoredScales, settings: MLXSettings, byteCount: Int) {
    let (rows, groups) = (codes.lines, codes.length / settings.groupLength)
    let plain = AffineScheme(bits: settings.bits, groupLength: settings.groupLength, scaleType: scales.type)
    let zeroPoints = Answer {
      (0..<rows).allSatisfy { row in
        (0..<groups).allSatisfy { group in
          plain?.zeroPoint(scale: scales.value(row: row, group: group), minimum: minima.value(row: row, group: group)) != nil
        }
      }
    }
    guard
      let scheme = AffineScheme(
        bits: settings.bits, groupLength: settings.groupLength, scaleType: scales.type, hasWholeZeroPoints: { zeroPoints.value })
    else { return nil }
    affine = scheme
    self.codes = codes
    self.scales = scales
    self.minima = minima
    self.byteCount = byteCount
  }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = affine.emptyPanel(rows: rows.count, columns: rowLength)
    panel.codes.withUnsafeMutableBufferPointer { buffer in
      if let base = buffer.baseAddress {
        codes.unpack(0..<rowLength, lines: rows, into: base, codeStride: 1, lineStride: rowLength)
      }
    }
    for (local, row) in rows.enumerated() {
      for group in 0..<panel.groupsPerRow {
        let position = panel.parameterIndex(row: local, group: group)
        panel.parameters[position] = scales.value(row: row, group: group)
        panel.parameters[position + 1] = minima.value(row: row, group: group)
      }
    }
    return panel
  }
}

/// The answer to a question that takes time, which is asked once, and only if somebody wants to know.
private final class Answer: Sendable {
  private let question: @Sendable () -> Bool
  private let known = Mutex<Bool?>(nil)

  init(_ question: @escaping @Sendable () -> Bool) { self.question = question }

  var value: Bool {
    known.withLock { known in
      let answer = known ?? question()
      known = answer
      return answer
    }
  }
}
