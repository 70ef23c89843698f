import CBlocks

/// Sizes of a block layout of GGUF (`ggml-common.h` of llama.cpp).
struct BlockLayout: Sendable, Hashable {
  /// Name of the type: `q4_k`.
  let name: String
  /// Weights in one block; a row is a whole number of blocks.
  let weights: Int
  /// Weights that share a scale: a stretch of a super-block, or the whole block.
  let scaleWeights: Int
  /// Bytes of one block.
  let bytes: Int
  /// Bits of one code, rounded up.
  let bits: Int
  /// Floats that hold the parameters of one block.
  let parameterCount: Int
  /// The layout among the C kernels.
  let kernel: qc_block_type

  static let all: [BlockLayout] = [
    BlockLayout(name: "q8_0", weights: 32, scaleWeights: 32, bytes: 34, bits: 8, parameterCount: 1, kernel: QC_BLOCK_Q8_0),
    BlockLayout(name: "q4_0", weights: 32, scaleWeights: 32, bytes: 18, bits: 4, parameterCount: 1, kernel: QC_BLOCK_Q4_0),
    BlockLayout(name: "q4_1", weights: 32, scaleWeights: 32, bytes: 20, bits: 4, parameterCount: 2, kernel: QC_BLOCK_Q4_1),
    BlockLayout(name: "q5_0", weights: 32, scaleWeights: 32, bytes: 22, bits: 5, parameterCount: 1, kernel: QC_BLOCK_Q5_0),
    BlockLayout(name: "q5_1", weights: 32, scaleWeights: 32, bytes: 24, bits: 5, parameterCount: 2, kernel: QC_BLOCK_Q5_1),
    BlockLayout(name: "q2_k", weights: 256, scaleWeights: 16, bytes: 84, bits: 2, parameterCount: 34, kernel: QC_BLOCK_Q2_K),
    BlockLayout(name: "q3_k", weights: 256, scaleWeights: 16, bytes: 110, bits: 3, parameterCount: 17, kernel: QC_BLOCK_Q3_K),
    BlockLayout(name: "q4_k", weights: 256, scaleWeights: 32, bytes: 144, bits: 4, parameterCount: 18, kernel: QC_BLOCK_Q4_K),
    BlockLayout(name: "q5_k", weights: 256, scaleWeights: 32, bytes: 176, bits: 5, parameterCount: 18, kernel: QC_BLOCK_Q5_K),
    BlockLayout(name: "q6_k", weights: 256, scaleWeights: 16, bytes: 210, bits: 6, parameterCount: 17, kernel: QC_BLOCK_Q6_K),
    BlockLayout(name: "iq4_nl", weights: 32, scaleWeights: 32, bytes: 18, bits: 4, parameterCount: 1, kernel: QC_BLOCK_IQ4_NL),
    BlockLayout(name: "iq4_xs", weights: 256, scaleWeights: 32, bytes: 136, bits: 4, parameterCount: 9, kernel: QC_BLOCK_IQ4_XS),
    BlockLayout(name: "tq1_0", weights: 256, scaleWeights: 256, bytes: 54, bits: 2, parameterCount: 1, kernel: QC_BLOCK_TQ1_0),
    BlockLayout(name: "tq2_0", weights: 256, scaleWeights: 256, bytes: 66, bits: 2, parameterCount: 1, kernel: QC_BLOCK_TQ2_0),
    BlockLayout(name: "q1_0", weights: 128, scaleWeights: 128, bytes: 18, bits: 1, parameterCount: 1, kernel: QC_BLOCK_Q1_0),
    BlockLayout(name: "q2_0", weights: 64, scaleWeights: 64, bytes: 18, bits: 2, parameterCount: 1, kernel: QC_BLOCK_Q2_0),
    BlockLayout(name: "mxfp4", weights: 32, scaleWeights: 32, bytes: 17, bits: 4, parameterCount: 1, kernel: QC_BLOCK_MXFP4),
    BlockLayout(name: "nvfp4", weights: 64, scaleWeights: 16, bytes: 36, bits: 4, parameterCount: 4, kernel: QC_BLOCK_NVFP4),
  ]

  /// The layout of this name, or nil.
  static func named(_ name: String) -> BlockLayout? { all.first { $0.name == name } ?? grids.first { $0.name == name } }

  /// Bytes of one row of `columns` weights.
  func rowBytes(columns: Int) -> Int { columns / weights * bytes }

  /// Bits of a code in files, where those of several share a byte; what remains of a block are parameters.
  var codeBits: Double { name == "tq1_0" ? 1.625 : Double(bits) }

  /// The kernel from floats to blocks, for this processor; nil for a layout that is only read.
  var encoder: qc_block_encoder? { qc_block_encoder_at(kernel, qc_block_best_level()) }

  /// The kernel that improves stored parameters; nil for a layout without a wider search.
  var refiner: qc_block_refiner? { qc_block_refiner_at(kernel, qc_block_best_level()) }

  /// The kernel from blocks to floats, for this processor.
  var decoder: qc_block_decoder? { qc_block_decoder_at(kernel, qc_block_best_level()) }

  // MARK: - Grids

  /// The layouts whose stretches of weights index a grid. Bits are those of points and signs for one weight, rounded down.
  private static let grids: [BlockLayout] = [
    BlockLayout(name: "iq1_s", weights: 256, scaleWeights: 32, bytes: 50, bits: 1, parameterCount: 17, kernel: QC_BLOCK_IQ1_S),
    BlockLayout(name: "iq1_m", weights: 256, scaleWeights: 16, bytes: 56, bits: 1, parameterCount: 49, kernel: QC_BLOCK_IQ1_M),
    BlockLayout(name: "iq2_xxs", weights: 256, scaleWeights: 32, bytes: 66, bits: 2, parameterCount: 9, kernel: QC_BLOCK_IQ2_XXS),
    BlockLayout(name: "iq2_xs", weights: 256, scaleWeights: 16, bytes: 74, bits: 2, parameterCount: 17, kernel: QC_BLOCK_IQ2_XS),
    BlockLayout(name: "iq2_s", weights: 256, scaleWeights: 16, bytes: 82, bits: 2, parameterCount: 17, kernel: QC_BLOCK_IQ2_S),
    BlockLayout(name: "iq3_xxs", weights: 256, scaleWeights: 32, bytes: 98, bits: 3, parameterCount: 9, kernel: QC_BLOCK_IQ3_XXS),
    BlockLayout(name: "iq3_s", weights: 256, scaleWeights: 32, bytes: 110, bits: 3, parameterCount: 9, kernel: QC_BLOCK_IQ3_S),
  ]
}
