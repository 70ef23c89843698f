/// Plain floating-point storage: `f32`, `f16`, `bf16`. Codes are bit patterns; there are no parameters.
public struct FloatScheme: Scheme {
  /// One of `.f32`, `.f16`, `.bf16`.
  public let type: ElementType

  /// Nil for a type that is not one of the three.
  public init?(_ type: ElementType) {
    guard type == .f32 || type == .f16 || type == .bf16 else { return nil }
    self.type = type
  }

  /// 32-bit floats.
  public static let f32 = FloatScheme(unchecked: .f32)
  /// Half precision.
  public static let f16 = FloatScheme(unchecked: .f16)
  /// The upper half of a 32-bit float.
  public static let bf16 = FloatScheme(unchecked: .bf16)

  private init(unchecked type: ElementType) { self.type = type }

  public var name: String { type.schemeName }
  public var grid: Grid {
    Grid(kind: .float, layout: name, groupLength: nil, codeBits: Double(type.bitCount), parameterBits: 0)
  }
  public var parameterCount: Int { 0 }

  public func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    nearest(panel, columns: 0..<panel.columns, into: &result)
  }

  /// Nothing to do: there are no parameters.
  public func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {}

  public func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    let width = result.columns
    result.codes.withUnsafeMutableBufferPointer { codes in
      for row in 0..<panel.rows {
        let source = panel.row(row)
        switch type {
        case .f16: for column in columns { codes[row * width + column] = Int32(NumberConversion.half(source[column])) }
        case .bf16: for column in columns { codes[row * width + column] = Int32(NumberConversion.bfloat(source[column])) }
        default: for column in columns { codes[row * width + column] = Int32(bitPattern: source[column].bitPattern) }
        }
      }
    }
  }

  public func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    let width = quantized.columns
    quantized.codes.withUnsafeBufferPointer { codes in
      for row in 0..<quantized.rows {
        for index in row * width + columns.lowerBound..<row * width + columns.upperBound {
          let bits = UInt32(bitPattern: codes[index])
          switch type {
          case .f16: destination[index] = NumberConversion.float(half: UInt16(truncatingIfNeeded: bits))
          case .bf16: destination[index] = NumberConversion.float(bfloat: UInt16(truncatingIfNeeded: bits))
          default: destination[index] = Float(bitPattern: bits)
          }
        }
      }
    }
  }
}

/// `f32`, `f16` and `bf16`.
public enum FloatSchemes: SchemeProvider {
  public static let id = "float"
  public static let summary = "Plain floats, rounded to nearest, ties to even."
  public static let reference = "IEEE 754-2019; bfloat16: the upper 16 bits of binary32"
  public static let schemeNames = ["f32", "f16", "bf16"]

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    switch name {
    case "f32": FloatScheme.f32
    case "f16": FloatScheme.f16
    case "bf16": FloatScheme.bf16
    default: nil
    }
  }
}
