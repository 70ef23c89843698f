public import QuantCore

/// Stores a block grid as a single tensor of packed blocks, as GGUF clients expect it.
public struct GGUFBlockPacking: Packing {
  public static let id = "gguf"
  public static let summary = "Packs weights into the blocks of GGUF."
  public static let reference = "https://github.com/ggml-org/llama.cpp: ggml/src/ggml-common.h"

  public static let formats = ["gguf"]

  /// A packing has no options.
  public init() {}

  public func holds(_ grid: Grid) -> Bool {
    grid.kind == .block && BlockType.named(grid.layout) != nil
  }

  /// llama.cpp multiplies with the rows as they are in the file.
  public var holdsTransposed: Bool { true }

  public func parts(name: String, shape: [Int], scheme: any Scheme) -> [StoredPart] {
    guard let layout = BlockType.named(scheme.grid.layout) else { return [] }
    let rows = shape.dropLast().reduce(1, *)
    return [
      StoredPart(
        name: name, shape: shape, type: .blocks(layout.name), byteCount: rows * layout.rowBytes(columns: shape.last ?? 0))
    ]
  }

  public func pack(_ panel: QuantizedPanel, rows: Range<Int>, of shape: [Int], scheme: any Scheme) -> [[UInt8]] {
    guard let blocks = BlockType.named(scheme.grid.layout)?.scheme else { return [] }
    return [pack(panel, as: blocks)]
  }

  private func pack(_ panel: QuantizedPanel, as scheme: some GGUFBlockScheme) -> [UInt8] {
    let layout = scheme.layout
    return [UInt8](unsafeUninitializedCapacity: panel.rows * layout.rowBytes(columns: panel.columns)) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      count = buffer.count
      scheme.forEachBlock(of: panel) { index, codes, parameters in
        scheme.pack(codes: codes, parameters: parameters, into: base + index * layout.bytes)
      }
    }
  }

  /// Codes and parameters of `rows` packed rows of `columns` weights: the inverse of `pack`. Nil if the layout is unknown or does not
  /// divide the row, or if the bytes are not exactly those rows.
  func unpack(_ bytes: UnsafeRawBufferPointer, layout name: String, rows: Int, columns: Int) -> QuantizedPanel? {
    guard let scheme = BlockType.named(name)?.scheme else { return nil }
    return unpack(bytes, as: scheme, rows: rows, columns: columns)
  }

  private func unpack(
    _ bytes: UnsafeRawBufferPointer, as scheme: some GGUFBlockScheme, rows: Int, columns: Int
  ) -> QuantizedPanel? {
    let layout = scheme.layout
    guard rows >= 0, scheme.fits(columns: columns) else { return nil }
    let (expected, overflow) = (columns / layout.weights * layout.bytes).multipliedReportingOverflow(by: rows)
    guard !overflow, expected == bytes.count else { return nil }
    var panel = scheme.emptyPanel(rows: rows, columns: columns)
    guard let base = bytes.bindMemory(to: UInt8.self).baseAddress else { return panel }
    scheme.forEachBlock(of: &panel) { index, codes, parameters in
      scheme.unpack(base + index * layout.bytes, codes: codes, parameters: parameters)
    }
    return panel
  }

  public func fused(scheme: any Scheme) -> FusedEncoder? {
    // The kernels contain only this provider's rule; any other rule on the same grid goes through `encode`.
    guard let encode = (scheme as? any GGUFBlockScheme)?.layout.encoder else { return nil }
    return { source, rows, columns, importance, destination in
      encode(source, Int64(rows), Int64(columns), importance, destination)
    }
  }
}
