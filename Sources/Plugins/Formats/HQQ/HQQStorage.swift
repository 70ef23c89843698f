import QuantCore

/// The weights of an HQQ layer, decoded row by row.
struct HQQStorage: TensorStorage {
  let schemeName: String
  let byteCount: Int
  var isNumeric: Bool { true }
  var verbatim: ByteView? { nil }

  /// Codes and parameters, if groups are parts of rows; else nil.
  var codes: (any QuantizedStorage)? { scheme.map { HQQCodes(scheme: $0, storage: self) } }

  private let scheme: HQQScheme?
  private let bytes: ByteView
  private let bits: Int
  /// Rows of one slab of the matrix of groups, and that matrix's columns.
  private let slabRows: Int
  private let columns: Int
  private let groupsAreRows: Bool
  private let scales: StoredNumbers
  private let zeros: StoredNumbers

  /// The names of HQQ's packings, with their bits.
  private static let packings = ["8bit_u8": 8, "4bit_u8": 4, "2bit_u8": 2, "1bit_u8": 1]

  /// - Throws: `Failure` `hqq.…`.
  static func tensor(_ codes: CheckpointTensor, name: String, parts: [String: CheckpointTensor]) throws(Failure) -> CheckpointTensor {
    do throws(Failure) { return try make(codes, name: name, parts: parts) } catch { throw error.inTensor(codes.name) }
  }

  private static func make(_ codes: CheckpointTensor, name: String, parts: [String: CheckpointTensor]) throws(Failure) -> CheckpointTensor {
    let settings = HQQSettings(parts)
    guard try settings.number("quant_scale") ?? 0 == 0, try settings.number("quant_zero") ?? 0 == 0,
      try settings.number("view_as_float") ?? 0 == 0
    else {
      throw Failure(
        .unsupported, "hqq.nested", "its scales, zero points or codes are themselves quantized or viewed as another type",
        remedy: "Save it with quant_scale, quant_zero and view_as_float off.")
    }
    let bits = try settings.required("nbits"), axis = try settings.required("axis")
    let packing = try settings.text("packing")
    guard let packedBits = packings[packing], packedBits == bits, axis == 0 || axis == 1 else {
      throw Failure(
        .unsupported, "hqq.packing", "\(bits) bits packed as \(JSON.string(packing).text()) along axis \(axis) are not supported",
        remedy: "Give the unquantized model.")
    }
    let shape = try settings.numbers("shape")
    guard shape.count == 2, shape.allSatisfy({ $0 > 0 }), let count = Checked.product(of: shape), codes.storage.elementType == .u8,
      codes.shape.count == 2, codes.shape[1] > 0, let bytes = codes.storage.verbatim, Checked.product(bytes.count, 8 / bits) == count
    else { throw Failure(.data, "hqq.shape", "holds codes of shape \(codes.shape), which do not fit \(shape) weights in \(bits) bits") }
    let groups = axis == 1 ? codes.shape[0] * (8 / bits) : codes.shape[1]
    guard let scales = parts["scale"].flatMap({ StoredNumbers($0) }), let zeros = parts["zero"].flatMap({ StoredNumbers($0) }),
      scales.count == groups, zeros.count == groups
    else { throw Failure(.data, "hqq.parts", "needs \(groups) scales and as many zero points") }
    let length = axis == 1 ? codes.shape[1] : codes.shape[0] * (8 / bits)
    let scheme =
      axis == 1 && shape[1].isMultiple(of: length) && scales.type == zeros.type
      ? HQQScheme(bits: bits, groupLength: length, modelType: scales.type) : nil
    let storage = HQQStorage(
      schemeName: scheme?.name ?? "hqq\(bits)-g\(length)-axis\(axis)",
      byteCount: parts.values.reduce(bytes.count) { $0 + $1.storage.byteCount }, scheme: scheme, bytes: bytes, bits: bits,
      slabRows: codes.shape[0], columns: codes.shape[1], groupsAreRows: axis == 1, scales: scales, zeros: zeros)
    return CheckpointTensor(name: name, shape: shape, storage: storage)
  }

  func decode(rows: Range<Int>, rowLength: Int, into destination: UnsafeMutablePointer<Float>) {
    let start = rows.lowerBound * rowLength
    forEachCode(rows, rowLength) { index, code, group in
      destination[index - start] = (Float(code) - zeros[group]) * scales[group]
    }
  }

  /// Calls `body` with the index of each weight of some rows, its code, and the number of its group.
  private func forEachCode(_ rows: Range<Int>, _ rowLength: Int, _ body: (_ index: Int, _ code: UInt8, _ group: Int) -> Void) {
    let mask = UInt8(truncatingIfNeeded: (1 << bits) - 1)
    bytes.withUnsafeBytes { bytes in
      for index in rows.lowerBound * rowLength..<rows.upperBound * rowLength {
        let row = index / columns, column = index % columns
        let shift = 8 - bits * (row / slabRows + 1)
        body(index, bytes[row % slabRows * columns + column] >> UInt8(shift) & mask, groupsAreRows ? row : column)
      }
    }
  }

  fileprivate func read(_ rows: Range<Int>, _ rowLength: Int, into panel: inout QuantizedPanel) {
    let start = rows.lowerBound * rowLength, firstGroup = start / panel.groupLength
    forEachCode(rows, rowLength) { index, code, _ in panel.codes[index - start] = Int32(code) }
    for group in 0..<panel.parameters.count / 2 {
      panel.parameters[2 * group] = scales[firstGroup + group]
      panel.parameters[2 * group + 1] = zeros[firstGroup + group]
    }
  }
}

/// An HQQ layer whose groups are parts of rows.
private struct HQQCodes: QuantizedStorage {
  let own: HQQScheme
  let storage: HQQStorage
  var scheme: any Scheme { own }
  var byteCount: Int { storage.byteCount }
  var verbatim: ByteView? { nil }

  init(scheme: HQQScheme, storage: HQQStorage) {
    own = scheme
    self.storage = storage
  }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = own.emptyPanel(rows: rows.count, columns: rowLength)
    storage.read(rows, rowLength, into: &panel)
    return panel
  }
}

/// Settings that are stored as tensors.
struct HQQSettings {
  private let parts: [String: CheckpointTensor]

  init(_ parts: [String: CheckpointTensor]) { self.parts = parts }

  /// The integers of a tensor; a flag is one byte.
  /// - Throws: `Failure` `hqq.parts` if it is missing or does not hold a few integers.
  func numbers(_ name: String) throws(Failure) -> [Int] {
    guard let tensor = parts[name] else { throw Failure(.data, "hqq.parts", "its setting '\(name)' is missing") }
    let sizes = ["i64": 8, "i32": 4, "u8": 1, "bool": 1]
    guard let size = sizes[tensor.storage.schemeName], let bytes = tensor.storage.verbatim?.prefix(64), bytes.count.isMultiple(of: size)
    else {
      throw Failure(.data, "hqq.parts", "its setting '\(name)' is not a tensor of integers")
    }
    return stride(from: 0, to: bytes.count, by: size).map { start in
      let magnitude = (0..<size).reduce(UInt64(0)) { $0 | UInt64(bytes[start + $1]) << UInt64(8 * $1) }
      return size == 4 ? Int(Int32(truncatingIfNeeded: magnitude)) : Int(Int64(bitPattern: magnitude))
    }
  }

  /// One integer, or nil if the setting is missing.
  func number(_ name: String) throws(Failure) -> Int? {
    guard parts[name] != nil else { return nil }
    let values = try numbers(name)
    guard values.count == 1 else { throw Failure(.data, "hqq.parts", "its setting '\(name)' is not a single integer") }
    return values[0]
  }

  func required(_ name: String) throws(Failure) -> Int {
    guard let value = try number(name) else { throw Failure(.data, "hqq.parts", "its setting '\(name)' is missing") }
    return value
  }

  func text(_ name: String) throws(Failure) -> String {
    guard let bytes = parts[name]?.storage.verbatim?.prefix(64) else {
      throw Failure(.data, "hqq.parts", "its setting '\(name)' is missing")
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension ByteView {
  /// A copy of the first bytes: settings are short, no matter what a file claims.
  fileprivate func prefix(_ count: Int) -> [UInt8] { slice(0..<min(count, self.count))?.bytes ?? [] }
}
