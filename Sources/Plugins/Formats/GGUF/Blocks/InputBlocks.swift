import QuantCore

/// How llama.cpp rounds activations before it multiplies them with block weights: to 8-bit codes in blocks along a row
/// (`ggml-quants.c`, `ggml-cpu/arch/x86/quants.c`).
struct InputBlocks: ValueRounding {
  /// `q8_0`: blocks of 32 with an F16 scale, largest magnitude / 127. (`q8_1` has the same codes and scale, and a sum that stays exact
  /// here.) Or `q8_k`: super-blocks of 256 with an F32 scale of either sign, so that the value of largest magnitude gets code −127.
  let layout: BlockType

  /// For weights in blocks of this type: super-blocks of weights need super-blocks of activations.
  init(for type: BlockType) { layout = type.weights == BlockType.q8_k.weights ? .q8_k : .q8_0 }

  func round(_ values: UnsafeMutablePointer<Float>, rows: Int, columns: Int, parallel: Parallel) {
    let shared = SharedPointer(values), isSuper = layout == .q8_k
    parallel.forEachRange(rows, piece: 16) { rows in
      for row in rows {
        // A row of weights consists of whole blocks, so its input does too.
        for start in stride(from: 0, through: columns - layout.weights, by: layout.weights) {
          let block = shared.base + row * columns + start
          if isSuper { InputBlocks.roundSuperBlock(block) } else { InputBlocks.roundBlock(block) }
        }
      }
    }
  }

  private static func roundBlock(_ x: UnsafeMutablePointer<Float>) {
    var largest: Float = 0
    for i in 0..<32 { largest = max(largest, abs(x[i])) }
    guard largest > 0, largest.isFinite else { return }
    let inverse = 127 / largest
    let scale = NumberConversion.float(half: NumberConversion.half(largest / 127))
    // If the values are too small for a scale, the codes mean zero, whatever they are.
    guard scale > 0 else { return x.update(repeating: 0, count: 32) }
    for i in 0..<32 { x[i] = (x[i] * inverse).rounded(.toNearestOrEven) * scale }
  }

  private static func roundSuperBlock(_ x: UnsafeMutablePointer<Float>) {
    var magnitude: Float = 0
    var extreme: Float = 0
    for i in 0..<256 where abs(x[i]) > magnitude {
      magnitude = abs(x[i])
      extreme = x[i]
    }
    guard magnitude > 0, magnitude.isFinite else { return }
    let inverse = -127 / extreme
    let scale = 1 / inverse
    guard inverse.isFinite else { return x.update(repeating: 0, count: 256) }
    // In this order of arguments, the minimum keeps NaN.
    for i in 0..<256 { x[i] = min((x[i] * inverse).rounded(.toNearestOrEven), 127) * scale }
  }
}
