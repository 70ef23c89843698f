import CBlocks
import QuantCore

/// A block layout of GGUF with the rounding rule of llama.cpp (`ggml-quants.c`).
///
/// A tile is one block. Codes and parameters are those of the file, as each type documents. The rule runs in the C
/// kernels; `readableEncode` is the same rule in plain Swift, the oracle of their tests.
///
/// With importance, llama.cpp weights x by `importance * sqrt(s + x²)`, where `s` is the mean square of the *row* for `q4_0` to
/// `q5_1`, that of the block for `q2_k`, and twice that of the block for `q3_k`, `q4_k`, `q5_k`, `iq4_nl` and `iq4_xs`; `q6_k`
/// weights by importance alone, and the others ignore it. A panel that is narrower than the row uses its own mean square.
protocol GGUFBlockScheme: Scheme {
  var layout: BlockType { get }

  /// Parameters (as stored) and codes of one block.
  func readableEncode(
    _ x: UnsafePointer<Float>, weighting: BlockWeighting?, parameters: UnsafeMutablePointer<Float>,
    codes: UnsafeMutablePointer<Int32>)
  /// Codes of the columns of one block under stored parameters.
  func nearest(
    _ x: UnsafePointer<Float>, columns: Range<Int>, parameters: UnsafePointer<Float>, codes: UnsafeMutablePointer<Int32>)
  /// The values of the columns of one block.
  func value(
    _ codes: UnsafePointer<Int32>, columns: Range<Int>, parameters: UnsafePointer<Float>,
    destination: UnsafeMutablePointer<Float>)
  /// The `layout.bytes` bytes of one block.
  func pack(codes: UnsafePointer<Int32>, parameters: UnsafePointer<Float>, into bytes: UnsafeMutablePointer<UInt8>)
  /// The inverse of `pack`.
  func unpack(
    _ bytes: UnsafePointer<UInt8>, codes: UnsafeMutablePointer<Int32>, parameters: UnsafeMutablePointer<Float>)
}

/// What a weighted search needs besides the block.
struct BlockWeighting {
  /// The importance of each column of the block.
  var importance: UnsafePointer<Float>
  /// Mean square of the block's row.
  var rowMeanSquare: Float

  /// Weights `importance * sqrt(spread + x²)` of some columns.
  func weights(_ x: UnsafePointer<Float>, columns: Range<Int>, spread: Float) -> [Float] {
    columns.map { importance[$0] * (spread + x[$0] * x[$0]).squareRoot() }
  }
}

/// Sum of squares in index order.
func sumOfSquares(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  var sum: Float = 0
  for i in 0..<count { sum += x[i] * x[i] }
  return sum
}

extension GGUFBlockScheme {
  var name: String { layout.name }
  var parameterCount: Int { layout.parameterCount }
  var importanceNeed: ImportanceNeed { layout.importanceNeed }
  var grid: Grid {
    Grid(
      kind: .block, layout: layout.name, groupLength: layout.weights, scaleLength: layout.scaleWeights, codeBits: layout.codeBits,
      parameterBits: Double(layout.bytes * 8) - layout.codeBits * Double(layout.weights))
  }

  func encode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    withEncodedBlocks(panel, importance) { bytes in
      forEachBlock(of: &result) { index, codes, parameters in
        unpack(bytes + index * layout.bytes, codes: codes, parameters: parameters)
      }
    }
  }

  /// Goes through the packed bytes: both directions run in the kernels.
  func roundTrip(_ panel: Panel, importance: [Float]?, into destination: UnsafeMutablePointer<Float>) {
    withEncodedBlocks(panel, importance) { bytes in
      layout.decoder?(bytes, Int64(panel.rows * panel.columns), destination)
    }
  }

  func fit(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    withEncodedBlocks(panel, importance) { bytes in
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: layout.weights) { scratch in
        guard let unused = scratch.baseAddress else { return }
        forEachBlock(of: &result) { index, _, parameters in
          unpack(bytes + index * layout.bytes, codes: unused, parameters: parameters)
        }
      }
    }
  }

  func nearest(_ panel: Panel, columns: Range<Int>, into result: inout QuantizedPanel) {
    let length = layout.weights, perRow = result.groupsPerRow
    forEachBlock(of: &result) { index, codes, parameters in
      let (row, block) = index.quotientAndRemainder(dividingBy: perRow)
      let inside = columns.clamped(to: block * length..<(block + 1) * length)
      if inside.isEmpty { return }
      let own = inside.lowerBound - block * length..<inside.upperBound - block * length
      nearest(panel.row(row) + block * length, columns: own, parameters: UnsafePointer(parameters), codes: codes)
    }
  }

  func value(_ quantized: QuantizedPanel, columns: Range<Int>, into destination: UnsafeMutablePointer<Float>) {
    let length = layout.weights, perRow = quantized.groupsPerRow
    forEachBlock(of: quantized) { index, codes, parameters in
      let block = index % perRow
      let inside = columns.clamped(to: block * length..<(block + 1) * length)
      if inside.isEmpty { return }
      let own = inside.lowerBound - block * length..<inside.upperBound - block * length
      value(codes, columns: own, parameters: parameters, destination: destination + index * length)
    }
  }

  /// The rule in plain Swift: does what `encode` does, slowly.
  func readableEncode(_ panel: Panel, importance: [Float]?, into result: inout QuantizedPanel) {
    let length = layout.weights, perRow = result.groupsPerRow
    forEachBlock(of: &result) { index, codes, parameters in
      let (row, block) = index.quotientAndRemainder(dividingBy: perRow)
      let x = panel.row(row)
      guard let importance else {
        return readableEncode(x + block * length, weighting: nil, parameters: parameters, codes: codes)
      }
      let meanSquare = sumOfSquares(x, panel.columns) / Float(panel.columns)
      importance.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { return }
        let weighting = BlockWeighting(importance: base + block * length, rowMeanSquare: meanSquare)
        readableEncode(x + block * length, weighting: weighting, parameters: parameters, codes: codes)
      }
    }
  }

  /// Calls `body` with the packed blocks of the panel, row after row.
  private func withEncodedBlocks(_ panel: Panel, _ importance: [Float]?, _ body: (UnsafePointer<UInt8>) -> Void) {
    guard panel.rows > 0, panel.columns > 0, let encode = layout.encoder else { return }
    let rowBytes = layout.rowBytes(columns: panel.columns), columns = Int64(panel.columns)
    let bytes = [UInt8](unsafeUninitializedCapacity: panel.rows * rowBytes) { buffer, count in
      guard let base = buffer.baseAddress else { return }
      count = buffer.count
      func run(_ weights: UnsafePointer<Float>?) {
        if panel.rowStride == panel.columns {
          // As one long row, blocks fill the vector lanes across row ends.
          encode(panel.base, Int64(panel.rows), columns, weights, base)
        } else {
          for row in 0..<panel.rows { encode(panel.row(row), 1, columns, weights, base + row * rowBytes) }
        }
      }
      if let importance { importance.withUnsafeBufferPointer { run($0.baseAddress) } } else { run(nil) }
    }
    bytes.withUnsafeBufferPointer { if let base = $0.baseAddress { body(base) } }
  }

  /// Calls `body` with index (row after row), codes and parameters of each block.
  func forEachBlock(
    of panel: inout QuantizedPanel, _ body: (Int, UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let count = panel.rows * panel.groupsPerRow, weights = layout.weights, parameterCount = layout.parameterCount
    panel.codes.withUnsafeMutableBufferPointer { codes in
      panel.parameters.withUnsafeMutableBufferPointer { parameters in
        guard let codes = codes.baseAddress, let parameters = parameters.baseAddress else { return }
        for index in 0..<count { body(index, codes + index * weights, parameters + index * parameterCount) }
      }
    }
  }

  /// Calls `body` with index (row after row), codes and parameters of each block.
  func forEachBlock(of panel: QuantizedPanel, _ body: (Int, UnsafePointer<Int32>, UnsafePointer<Float>) -> Void) {
    let count = panel.rows * panel.groupsPerRow, weights = layout.weights, parameterCount = layout.parameterCount
    panel.codes.withUnsafeBufferPointer { codes in
      panel.parameters.withUnsafeBufferPointer { parameters in
        guard let codes = codes.baseAddress, let parameters = parameters.baseAddress else { return }
        for index in 0..<count { body(index, codes + index * weights, parameters + index * parameterCount) }
      }
    }
  }
}
