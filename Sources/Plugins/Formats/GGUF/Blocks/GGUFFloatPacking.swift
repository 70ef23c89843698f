public import QuantCore

/// Stores the groups of `mxfp4` and `nvfp4`, whatever chose their codes, as GGUF's blocks for them.
///
/// For a matrix `X.weight [out, in]`: `X.weight` as blocks of type MXFP4 or NVFP4; with NVFP4, the scale of the tensor beside it:
/// `X.scale` F32 `[1]`, or one per stacked expert, by which values are multiplied. The trap: llama.cpp looks for this
/// scale beside linear layers and the output matrix, and refuses a file with one beside the embedding.
public struct GGUFFloatPacking: Packing {
  public static let id = "gguf-float"
  public static let summary = "Packs MXFP4 and NVFP4 as GGUF blocks, NVFP4 with a separate tensor scale."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h, src/llama-model.cpp"

  public static let formats = ["gguf"]

  private static let nvfp4 = NVFP4Scheme(.factor, modelType: .f32).grid
  private static let mxfp4 = MicroscalingScheme(.e2m1, modelType: .f32)?.grid

  /// A packing has no options.
  public init() {}

  public func stored(_ scheme: any Scheme) -> any Scheme { (scheme as? NVFP4Scheme)?.with(.factor) ?? scheme }

  public func holds(_ grid: Grid) -> Bool { blocks(grid) != nil }

  public func obstacle(shape: [Int], scheme: any Scheme) -> String? {
    guard let blocks = blocks(scheme.grid), let columns = shape.last, !columns.isMultiple(of: blocks.layout.weights) else { return nil }
    return "rows are not a multiple of \(blocks.layout.weights)"
  }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    guard let blocks = blocks(scheme.grid) else { return [] }
    let rows = shape.dropLast().reduce(1, *)
    let weight = StoredPart(
      name: name, shape: shape, type: .blocks(blocks.layout.name), byteCount: rows * blocks.layout.rowBytes(columns: shape.last ?? 0))
    guard scheme.grid.globalScale != nil else { return [weight] }
    let count = GGUFFloatPacking.scaleCount(shape)
    return [
      weight, StoredPart(name: ScaledStorage.scaleName(ofWeight: name), shape: [count], type: .element(.f32), byteCount: 4 * count),
    ]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    guard let blocks = blocks(scheme.grid) else { return [] }
    let groups = blocks.layout.parameterCount, stride = panel.parameterCount, blocksPerRow = panel.columns / blocks.layout.weights
    var bytes = [UInt8](repeating: 0, count: panel.rows * blocks.layout.rowBytes(columns: panel.columns))
    var halves = [Float](repeating: 0, count: groups)
    bytes.withUnsafeMutableBufferPointer { bytes in
      panel.codes.withUnsafeBufferPointer { codes in
        guard let bytes = bytes.baseAddress, let codes = codes.baseAddress else { return }
        for block in 0..<panel.rows * blocksPerRow {
          for group in 0..<groups { halves[group] = panel.parameters[(block * groups + group) * stride] / 2 }
          blocks.pack(codes: codes + block * blocks.layout.weights, parameters: halves, into: bytes + block * blocks.layout.bytes)
        }
      }
    }
    guard scheme.grid.globalScale != nil else { return [bytes] }
    let scales = [Float](repeating: panel.parameters.dropFirst().first ?? 1, count: GGUFFloatPacking.scaleCount(shape))
    return [bytes, rows.lowerBound == 0 ? NumberConversion.bytes(of: scales, as: .f32) : []]
  }

  /// The blocks for a grid, or nil if this packing cannot hold it.
  private func blocks(_ grid: Grid) -> FloatBlocks? {
    if grid == GGUFFloatPacking.nvfp4 { return FloatBlocks(layout: .nvfp4) }
    return grid == GGUFFloatPacking.mxfp4 ? FloatBlocks(layout: .mxfp4) : nil
  }

  /// Stacked experts have one scale each.
  private static func scaleCount(_ shape: [Int]) -> Int { shape.count == 3 ? shape[0] : 1 }
}

/// Codes and scales of a tensor stored as blocks of MXFP4, or of NVFP4 under a scale of the tensor.
struct FloatBlockCodes: QuantizedStorage {
  let scheme: any Scheme
  var byteCount: Int { bytes.count + (globalScale == nil ? 0 : 4) }
  var verbatim: ByteView? { globalScale == nil ? bytes : nil }

  private let blocks: FloatBlocks
  private let bytes: ByteView
  private let globalScale: Float?

  /// Nil for another type, for MXFP4 with a scale of the tensor, and for NVFP4 without one, whose scheme requires one.
  init?(_ type: BlockType, _ bytes: ByteView, globalScale: Float?) {
    switch (type, globalScale) {
    case (.mxfp4, nil):
      guard let scheme = MicroscalingScheme(.e2m1, modelType: .f32) else { return nil }
      self.scheme = scheme
    case (.nvfp4, .some): scheme = NVFP4Scheme(.factor, modelType: .f32)
    default: return nil
    }
    blocks = FloatBlocks(layout: type)
    self.bytes = bytes
    self.globalScale = globalScale
  }

  func panel(rows: Range<Int>, rowLength: Int) -> QuantizedPanel {
    var panel = scheme.emptyPanel(rows: rows.count, columns: rowLength)
    let layout = blocks.layout, groups = layout.parameterCount, stride = panel.parameterCount
    let count = rows.count * (rowLength / layout.weights)
    let halves = [Float](unsafeUninitializedCapacity: count * groups) { halves, initialized in
      initialized = count * groups
      panel.codes.withUnsafeMutableBufferPointer { codes in
        bytes.withUnsafeBytes { buffer in
          guard let base = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), let codes = codes.baseAddress,
            let halves = halves.baseAddress
          else { return }
          let first = base + rows.lowerBound * layout.rowBytes(columns: rowLength)
          for block in 0..<count {
            blocks.unpack(first + block * layout.bytes, codes: codes + block * layout.weights, parameters: halves + block * groups)
          }
        }
      }
    }
    for (index, half) in halves.enumerated() {
      panel.parameters[index * stride] = 2 * half
      if let globalScale { panel.parameters[index * stride + 1] = globalScale }
    }
    return panel
  }
}

extension FloatBlocks {
  /// Without a tensor scale, or with one of 1. The scales of blocks are unsigned E4M3 values, so all of them can be kept.
  var generalizations: [(scheme: any Scheme, repacking: Repacking)] {
    guard layout == .nvfp4 else { return [] }
    let meanings: [Grid.GlobalScale?] = [nil, .factor, .divisor]
    return meanings.map { meaning in
      let scheme = NVFP4Scheme(meaning, modelType: .f32)
      let repacking = Repacking(.exact) { panel in
        var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
        result.codes = panel.codes
        result.parameters = panel.parameters.flatMap { meaning == nil ? [2 * $0] : [2 * $0, 1] }
        return result
      }
      return (scheme, repacking)
    }
  }

  /// Groups of `mxfp4` are blocks of `mxfp4-ggml`, whatever rule chose their codes.
  func repacking(of source: any Scheme) -> Repacking? {
    if source.grid == grid { return .identity }
    guard layout == .mxfp4, let groups = source as? MicroscalingScheme, groups.element == .e2m1 else { return nil }
    let scheme = self
    return Repacking(.exact) { panel in
      var result = scheme.emptyPanel(rows: panel.rows, columns: panel.columns)
      result.codes = panel.codes
      for index in result.parameters.indices { result.parameters[index] = panel.parameters[index] / 2 }
      return result
    }
  }
}
