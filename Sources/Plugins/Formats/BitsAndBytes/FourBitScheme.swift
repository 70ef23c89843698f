public import QuantCore

/// Blocks of 4-bit codes, each a fraction of the block's largest magnitude, by the rule of bitsandbytes.
///
/// Weights are multiplied by the reciprocal of that magnitude, and a code is the table's number next to the product; halfway
/// between two it is the lower one. Parameter of a tile: the largest magnitude, in 32 bits.
///
/// The library's blocks run through the whole matrix, row after row. Blocks of a tile are the same where rows are a multiple
/// of the block length; other matrices can be read and are not written.
struct FourBitScheme: Scheme {
  let type: FourBitType
  /// Weights of a block.
  let blockLength: Int
  /// Type in which the model computes.
  let modelType: ElementType
  private let values: [Float]
  private let bounds: [Float]
  private let ascending: [Int32]

  /// Lengths that the library takes.
  static let blockLengths = [32, 64, 128, 256, 512, 1024, 2048, 4096]
  private static let usualLength = 64

  /// Nil for a block length that the library does not take.
  init?(_ type: FourBitType, blockLength: Int = usualLength, modelType: ElementType) {
    guard FourBitScheme.blockLengths.contains(blockLength) else { return nil }
    self.type = type
    self.blockLength = blockLength
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
    values = type.values
    bounds = type.bounds
    ascending = type.ascending
  }

  var name: String { type.rawValue + (blockLength == FourBitScheme.usualLength ? "" : "-g\(blockLength)") }

  var grid: Grid {
    Grid(kind: .scaledFloat, layout: type.rawValue, groupLength: blockLength, codeBits: 4, parameterBits: 32, scaleType: .f32)
  }

  var parameterCount: Int { 1 }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    nearest(panel, columns: 0..<panel.columns, into: &result)
  }

  /// Importance is not looked at: the rule takes the largest magnitude of a block.
  func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    for row in 0..<panel.rows {
      let source = panel.row(row)
      for group in 0..<result.groupsPerRow {
        var largest: Float = 0
        for column in group * blockLength..<min((group + 1) * blockLength, panel.columns) { largest = max(largest, abs(source[column])) }
        result.parameters[result.parameterIndex(row: row, group: group)] = largest
      }
    }
  }

  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    let width = result.columns, parameters = result.parameters, groups = result.groupsPerRow
    result.codes.withUnsafeMutableBufferPointer { codes in
      bounds.withUnsafeBufferPointer { bounds in
        for row in 0..<panel.rows {
          let source = panel.row(row)
          var column = columns.lowerBound
          while column < columns.upperBound {
            let group = column / blockLength, end = min(columns.upperBound, (group + 1) * blockLength)
            // The smallest divisor keeps the reciprocal finite.
            let reciprocal = 1 / max(parameters[row * groups + group], 1e-38)
            while column < end {
              let scaled = min(max(source[column] * reciprocal, -1), 1)
              var place = 0
              for bound in bounds { place += bound < scaled ? 1 : 0 }
              codes[row * width + column] = ascending[place]
              column += 1
            }
          }
        }
      }
    }
  }

  func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    for row in 0..<quantized.rows {
      for column in columns {
        let index = row * quantized.columns + column
        let largest = quantized.parameters[quantized.parameterIndex(row: row, group: column / blockLength)]
        destination[index] = values[Int(quantized.codes[index] & 15)] * largest
      }
    }
  }
}

/// The number types of bitsandbytes.
public enum BitsAndBytesSchemes: SchemeProvider {
  public static let id = "bitsandbytes"
  public static let summary = "4-bit tables (NF4, FP4) with a scale per block, and 8-bit integers with a scale per row."
  public static let reference = "https://arxiv.org/abs/2305.14314; https://arxiv.org/abs/2208.07339"
  public static let schemeNames = ["nf4", "fp4", "nf4-gN", "fp4-gN", LLMInt8Scheme.schemeName]

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    if name == LLMInt8Scheme.schemeName { return LLMInt8Scheme(modelType: modelType) }
    let words = name.split(separator: "-", omittingEmptySubsequences: false)
    guard let first = words.first, let type = FourBitType(rawValue: String(first)) else { return nil }
    guard words.count > 1 else { return FourBitScheme(type, modelType: modelType) }
    // One name for one scheme: the usual length has none.
    guard words.count == 2, words[1].first == "g", let length = Int(words[1].dropFirst()),
      let scheme = FourBitScheme(type, blockLength: length, modelType: modelType), scheme.name == name
    else { return nil }
    return scheme
  }
}
