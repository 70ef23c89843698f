import QuantCore

/// Bytes of a GGUF header, little-endian.
struct GGUFWriter {
  private(set) var bytes: [UInt8] = []

  mutating func append(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// Length in bytes, then the bytes.
  mutating func append(_ text: String) {
    append(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  /// Zeros up to a multiple of `alignment`.
  mutating func pad(to alignment: Int) {
    while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
  }

  /// The number of the type, then the value.
  mutating func append(_ value: MetadataValue) {
    switch value {
    case .u8(let v): tag(0, v)
    case .i8(let v): tag(1, v)
    case .u16(let v): tag(2, v)
    case .i16(let v): tag(3, v)
    case .u32(let v): tag(4, v)
    case .i32(let v): tag(5, v)
    case .f32(let v): tag(6, v.bitPattern)
    case .bool(let v): tag(7, v ? 1 : 0 as UInt8)
    case .string(let v):
      append(UInt32(8))
      append(v)
    case .u64(let v): tag(10, v)
    case .i64(let v): tag(11, v)
    case .f64(let v): tag(12, v.bitPattern)
    case .u8s(let v): array(0, v)
    case .i8s(let v): array(1, v)
    case .u16s(let v): array(2, v)
    case .i16s(let v): array(3, v)
    case .u32s(let v): array(4, v)
    case .i32s(let v): array(5, v)
    case .f32s(let v): array(6, v.map(\.bitPattern))
    case .bools(let v): array(7, v.map { $0 ? 1 : 0 as UInt8 })
    case .strings(let v):
      arrayHead(8, v.count)
      for text in v { append(text) }
    case .u64s(let v): array(10, v)
    case .i64s(let v): array(11, v)
    case .f64s(let v): array(12, v.map(\.bitPattern))
    }
  }

  private mutating func tag(_ type: UInt32, _ value: some FixedWidthInteger) {
    append(type)
    append(value)
  }

  private mutating func array(_ type: UInt32, _ values: [some FixedWidthInteger]) {
    arrayHead(type, values.count)
    for value in values { append(value) }
  }

  private mutating func arrayHead(_ type: UInt32, _ count: Int) {
    append(UInt32(9))
    append(type)
    append(UInt64(count))
  }
}
