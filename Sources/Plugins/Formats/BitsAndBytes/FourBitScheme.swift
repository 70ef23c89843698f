public import QuantCore

/// Blocks of 4-bit codes, each a fraction of the block's largest magnitude, by the rule of bitsandbytes.
///
/// Weights are multiplied by the reciprocal of that magnitude, and a code is the table's level nearest to the product; a tie
/// goes to the lower level. Parameters of a tile: its largest magnitude, in 32 bits; if magnitudes are quantized too
/// (`-double`), the magnitude that its code means, and that code.
///
/// The library's blocks run through the whole matrix, row after row. They coincide with tiles if the row length is a multiple
/// of the block length; other matrices can be read but are not written.
struct FourBitScheme: NestingScheme {
  let type: FourBitType
  /// Weights per block.
  let blockLength: Int
  /// The type in which the model computes.
  let modelType: ElementType
  /// Whether the magnitudes of blocks are quantized too.
  let isNested: Bool
  /// The nested magnitudes of one matrix, if they are known.
  private(set) var nested: NestedMagnitudes?
  private let values: [Float]
  private let bounds: [Float]
  private let ascending: [Int32]

  /// Lengths that the library supports.
  static let blockLengths = [32, 64, 128, 256, 512, 1024, 2048, 4096]
  private static let usualLength = 64

  /// Nil for a block length that the library does not support.
  init?(_ type: FourBitType, blockLength: Int = usualLength, isNested: Bool = false, modelType: ElementType) {
    guard FourBitScheme.blockLengths.contains(blockLength) else { return nil }
    self.type = type
    self.blockLength = blockLength
    self.isNested = isNested
    self.modelType = modelType == .f16 || modelType == .bf16 ? modelType : .f32
    values = type.values
    bounds = type.bounds
    ascending = type.ascending
  }

  var name: String {
    type.rawValue + (blockLength == FourBitScheme.usualLength ? "" : "-g\(blockLength)") + (isNested ? FourBitScheme.nestedSuffix : "")
  }
  static let nestedSuffix = "-double"

  var grid: Grid {
    Grid(
      kind: .scaledFloat, layout: type.rawValue, groupLength: blockLength, codeBits: 4,
      parameterBits: isNested ? 8 + 32 / Double(NestedMagnitudes.blockLength) : 32, scaleType: isNested ? .u8 : .f32)
  }

  var parameterCount: Int { isNested ? 2 : 1 }

  var nestsParameters: Bool { isNested }

  func fitted(tileMagnitudes: [Float]) -> any NestingScheme {
    var scheme = self
    if isNested { scheme.nested = NestedMagnitudes(tileMagnitudes) }
    return scheme
  }

  /// The codes of weights come from the magnitudes before they were quantized, as in the library.
  func nest(_ quantized: inout QuantizedPanel, firstTile: Int) {
    guard let nested else { return }
    for tile in 0..<quantized.parameters.count / 2 {
      let code = nested.code(quantized.parameters[2 * tile], block: firstTile + tile)
      quantized.parameters[2 * tile] = nested.value(code, block: firstTile + tile)
      quantized.parameters[2 * tile + 1] = Float(code)
    }
  }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    fit(panel, importance: importance, into: &result)
    nearest(panel, columns: 0..<panel.columns, into: &result)
  }

  /// Importance is not used: the rule is the largest magnitude of a block.
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

  func exactParameters(of tile: UnsafeBufferPointer<Float>, storedIn type: ElementType) -> [Float]? {
    guard !isNested else { return nil }
    return LatticeSearch(tile, storedIn: type)?.scale(tops: [1], levels: values.sorted(), scaleType: .f32).map { [$0] }
  }

  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    let width = result.columns, parameters = result.parameters, stride = result.groupsPerRow * parameterCount
    result.codes.withUnsafeMutableBufferPointer { codes in
      bounds.withUnsafeBufferPointer { bounds in
        for row in 0..<panel.rows {
          let source = panel.row(row)
          var column = columns.lowerBound
          while column < columns.upperBound {
            let group = column / blockLength, end = min(columns.upperBound, (group + 1) * blockLength)
            // The lower bound of the divisor keeps the reciprocal finite.
            let reciprocal = 1 / max(parameters[row * stride + group * parameterCount], 1e-38)
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

/// The schemes of bitsandbytes.
public enum BitsAndBytesSchemes: SchemeProvider {
  public static let id = "bitsandbytes"
  public static let summary = "4-bit tables (NF4, FP4) with a scale per block, and 8-bit integers with a scale per row."
  public static let reference = "https://arxiv.org/abs/2305.14314; https://arxiv.org/abs/2208.07339"
  public static let schemeNames = [
    "nf4", "fp4", "nf4-gN", "fp4-gN", "nf4-double", "fp4-double", "nf4-gN-double", "fp4-gN-double", LLMInt8Scheme.schemeName,
  ]

  public static func scheme(named name: String, modelType: ElementType) -> (any Scheme)? {
    if name == LLMInt8Scheme.schemeName { return LLMInt8Scheme(modelType: modelType) }
    let isNested = name.hasSuffix(FourBitScheme.nestedSuffix)
    let words = name.dropLast(isNested ? FourBitScheme.nestedSuffix.count : 0).split(separator: "-", omittingEmptySubsequences: false)
    guard let first = words.first, let type = FourBitType(rawValue: String(first)) else { return nil }
    guard words.count > 1 else { return FourBitScheme(type, isNested: isNested, modelType: modelType) }
    // A scheme has one name: the usual length is not part of it.
    guard words.count == 2, words[1].first == "g", let length = Int(words[1].dropFirst()),
      let scheme = FourBitScheme(type, blockLength: length, isNested: isNested, modelType: modelType), scheme.name == name
    else { return nil }
    return scheme
  }
}
