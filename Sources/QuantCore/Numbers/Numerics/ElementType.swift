/// The type of one stored element, as safetensors names it. GGUF's plain types map to the same cases.
///
/// Types that exist only as blocks (`Q4_K`) are not element types: a `Packing` stores them for a `Scheme`.
public enum ElementType: String, Sendable, CaseIterable {
  case bool = "BOOL"
  case u8 = "U8"
  case i8 = "I8"
  case i16 = "I16"
  case u16 = "U16"
  case i32 = "I32"
  case u32 = "U32"
  case i64 = "I64"
  case u64 = "U64"
  case f16 = "F16"
  case bf16 = "BF16"
  case f32 = "F32"
  case f64 = "F64"
  case c64 = "C64"
  case f8e4m3 = "F8_E4M3"
  case f8e5m2 = "F8_E5M2"
  case f8e8m0 = "F8_E8M0"
  case f6e2m3 = "F6_E2M3"
  case f6e3m2 = "F6_E3M2"
  case f4 = "F4"

  /// Size of one element in bits.
  public var bitCount: Int {
    switch self {
    case .f4: 4
    case .f6e2m3, .f6e3m2: 6
    case .bool, .u8, .i8, .f8e4m3, .f8e5m2, .f8e8m0: 8
    case .i16, .u16, .f16, .bf16: 16
    case .i32, .u32, .f32: 32
    case .i64, .u64, .f64, .c64: 64
    }
  }

  /// Distance from 1 to the next value of a model's type (`f16`, `bf16`; any other counts as `f32`).
  var machineEpsilon: Float {
    switch self {
    case .bf16: 0x1p-7
    case .f16: 0x1p-10
    default: 0x1p-23
    }
  }

  /// The type with this `schemeName`, or nil if no element type has this name.
  public init?(schemeName: String) { self.init(rawValue: schemeName.uppercased()) }

  /// The scheme name of plain floating-point storage (`f32`, `f16`, `bf16`), or the lower-case type name for data.
  public var schemeName: String { rawValue.lowercased() }

  /// Whether elements of this type are codes that mean something only together with a scale stored elsewhere.
  public var needsScale: Bool {
    switch self {
    case .f8e4m3, .f8e5m2, .f8e8m0, .f6e2m3, .f6e3m2, .f4: true
    default: false
    }
  }

  /// Whether weights stored in this type can be read as 32-bit floats without a scale.
  public var isFloat: Bool {
    switch self {
    case .f16, .bf16, .f32, .f64: true
    default: false
    }
  }
}
