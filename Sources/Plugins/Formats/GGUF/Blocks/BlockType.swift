import CBlocks
import QuantCore

/// A block type of GGUF. The rows below are the only place that states the facts about each type. Sizes are those of
/// llama.cpp (`ggml-common.h`); a test compares them with the structs of the C kernels.
struct BlockType: Sendable {
  /// The key under which the C kernels keep the encoder, decoder and refiner of the type.
  let kernel: qc_block_type
  /// Name in tensors and reports: `q4_k`.
  let name: String
  /// Weights in one block; a row is a whole number of blocks.
  let weights: Int
  /// Bytes of one block.
  let bytes: Int
  /// Weights that share a scale: a sub-block of a super-block, or the whole block.
  let scaleWeights: Int
  /// Bits of one code, rounded up; for a type that indexes a grid, the bits of points and signs per weight, rounded down.
  let bits: Int
  /// Average bits of a code in files, fractional if several codes share a byte. The rest of a block is parameters.
  let codeBits: Double
  /// Floats that hold the parameters of one block.
  let parameterCount: Int
  /// Which tensors must have importance: with very few bits, too much is lost if all columns weigh the same. As in llama.cpp:
  /// `tensor_requires_imatrix` of `src/llama-quant.cpp` exempts the embedding and the output matrix,
  /// `ggml_quantize_requires_imatrix` of `ggml.c` exempts nothing.
  let importanceNeed: ImportanceNeed
  /// The `general.file_type` of a file that holds mostly this type, for types without a mix of that name.
  let fileType: UInt32?
  /// The number of `fallback` in files. If a row held another row, copying a block type would update a reference count that all
  /// threads share.
  private let fallbackID: UInt32?
  /// Makes the scheme with llama.cpp's rounding rule; nil for a type that is only read.
  private let makeScheme: (@Sendable (BlockType) -> any GGUFBlockScheme)?

  private init(
    _ kernel: qc_block_type, _ name: String, weights: Int, bytes: Int, scaleWeights: Int? = nil, bits: Int, codeBits: Double? = nil,
    parameters: Int = 1, importanceNeed: ImportanceNeed = .none, fallback: GGUFTensorType?, fileType: UInt32? = nil,
    scheme: (@Sendable (BlockType) -> any GGUFBlockScheme)?
  ) {
    self.kernel = kernel
    self.name = name
    self.weights = weights
    self.bytes = bytes
    self.scaleWeights = scaleWeights ?? weights
    self.bits = bits
    self.codeBits = codeBits ?? Double(bits)
    parameterCount = parameters
    self.importanceNeed = importanceNeed
    fallbackID = fallback?.id
    self.fileType = fileType
    makeScheme = scheme
  }

  // MARK: - One scale, or scale and minimum, for 32 weights

  static let q8_0 = BlockType(QC_BLOCK_Q8_0, "q8_0", weights: 32, bytes: 34, bits: 8, fallback: .plain(.f16)) { Q8Blocks(layout: $0) }
  static let q4_0 = BlockType(QC_BLOCK_Q4_0, "q4_0", weights: 32, bytes: 18, bits: 4, fallback: .plain(.f16)) {
    SymmetricBlocks(layout: $0)
  }
  static let q4_1 = BlockType(QC_BLOCK_Q4_1, "q4_1", weights: 32, bytes: 20, bits: 4, parameters: 2, fallback: .plain(.f16)) {
    RangeBlocks(layout: $0)
  }
  static let q5_0 = BlockType(QC_BLOCK_Q5_0, "q5_0", weights: 32, bytes: 22, bits: 5, fallback: .plain(.f16)) {
    SymmetricBlocks(layout: $0)
  }
  static let q5_1 = BlockType(QC_BLOCK_Q5_1, "q5_1", weights: 32, bytes: 24, bits: 5, parameters: 2, fallback: .plain(.f16)) {
    RangeBlocks(layout: $0)
  }

  // MARK: - Super-blocks with quantized sub-scales

  static let q2_k = BlockType(
    QC_BLOCK_Q2_K, "q2_k", weights: 256, bytes: 84, scaleWeights: 16, bits: 2, parameters: 34, fallback: .blocks(.q4_0)
  ) { LowRangeSuperBlocks(layout: $0) }
  static let q3_k = BlockType(
    QC_BLOCK_Q3_K, "q3_k", weights: 256, bytes: 110, scaleWeights: 16, bits: 3, parameters: 17, fallback: .blocks(.q4_0)
  ) { LowSymmetricSuperBlocks(layout: $0) }
  static let q4_k = BlockType(
    QC_BLOCK_Q4_K, "q4_k", weights: 256, bytes: 144, scaleWeights: 32, bits: 4, parameters: 18, fallback: .blocks(.q5_0)
  ) { RangeSuperBlocks(layout: $0) }
  static let q5_k = BlockType(
    QC_BLOCK_Q5_K, "q5_k", weights: 256, bytes: 176, scaleWeights: 32, bits: 5, parameters: 18, fallback: .blocks(.q5_1)
  ) { RangeSuperBlocks(layout: $0) }
  static let q6_k = BlockType(
    QC_BLOCK_Q6_K, "q6_k", weights: 256, bytes: 210, scaleWeights: 16, bits: 6, parameters: 17, fallback: .blocks(.q8_0)
  ) { SymmetricSuperBlocks(layout: $0) }

  // MARK: - Uneven levels

  static let iq4_nl = BlockType(QC_BLOCK_IQ4_NL, "iq4_nl", weights: 32, bytes: 18, bits: 4, fallback: .plain(.f16)) {
    LevelBlocks(layout: $0)
  }
  static let iq4_xs = BlockType(
    QC_BLOCK_IQ4_XS, "iq4_xs", weights: 256, bytes: 136, scaleWeights: 32, bits: 4, parameters: 9, fallback: .blocks(.iq4_nl)
  ) { LevelSuperBlocks(layout: $0) }

  // MARK: - Two or three values per weight

  static let tq1_0 = BlockType(
    QC_BLOCK_TQ1_0, "tq1_0", weights: 256, bytes: 54, bits: 2, codeBits: 1.625, fallback: .blocks(.q4_0)
  ) { TernaryBlocks(layout: $0) }
  static let tq2_0 = BlockType(QC_BLOCK_TQ2_0, "tq2_0", weights: 256, bytes: 66, bits: 2, fallback: .blocks(.q4_0)) {
    TernaryBlocks(layout: $0)
  }
  static let q1_0 = BlockType(QC_BLOCK_Q1_0, "q1_0", weights: 128, bytes: 18, bits: 1, fallback: nil) { SignBlocks(layout: $0) }
  static let q2_0 = BlockType(QC_BLOCK_Q2_0, "q2_0", weights: 64, bytes: 18, bits: 2, fallback: .blocks(.q4_0)) {
    TernaryBlocks(layout: $0)
  }

  // MARK: - 4-bit floats

  static let mxfp4 = BlockType(QC_BLOCK_MXFP4, "mxfp4", weights: 32, bytes: 17, bits: 4, fallback: .plain(.f16), fileType: 38) {
    FloatBlocks(layout: $0)
  }
  static let nvfp4 = BlockType(
    QC_BLOCK_NVFP4, "nvfp4", weights: 64, bytes: 36, scaleWeights: 16, bits: 4, parameters: 4, fallback: nil, fileType: 39
  ) { FloatBlocks(layout: $0) }

  // MARK: - Points of a grid

  static let iq1_s = BlockType(
    QC_BLOCK_IQ1_S, "iq1_s", weights: 256, bytes: 50, scaleWeights: 32, bits: 1, parameters: 17, importanceNeed: .everything,
    fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq1s) }
  static let iq1_m = BlockType(
    QC_BLOCK_IQ1_M, "iq1_m", weights: 256, bytes: 56, scaleWeights: 16, bits: 1, parameters: 49, importanceNeed: .layers,
    fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq1m) }
  static let iq2_xxs = BlockType(
    QC_BLOCK_IQ2_XXS, "iq2_xxs", weights: 256, bytes: 66, scaleWeights: 32, bits: 2, parameters: 9, importanceNeed: .everything,
    fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq2xxs) }
  static let iq2_xs = BlockType(
    QC_BLOCK_IQ2_XS, "iq2_xs", weights: 256, bytes: 74, scaleWeights: 16, bits: 2, parameters: 17, importanceNeed: .everything,
    fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq2xs) }
  static let iq2_s = BlockType(
    QC_BLOCK_IQ2_S, "iq2_s", weights: 256, bytes: 82, scaleWeights: 16, bits: 2, parameters: 17, importanceNeed: .layers,
    fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq2s) }
  static let iq3_xxs = BlockType(
    QC_BLOCK_IQ3_XXS, "iq3_xxs", weights: 256, bytes: 98, scaleWeights: 32, bits: 3, parameters: 9, importanceNeed: .layers,
    fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq3xxs) }
  static let iq3_s = BlockType(
    QC_BLOCK_IQ3_S, "iq3_s", weights: 256, bytes: 110, scaleWeights: 32, bits: 3, parameters: 9, fallback: .blocks(.iq4_nl)
  ) { _ in GridBlocks(.iq3s) }

  // MARK: - Types of activations at run time: not expected in files, but readable

  static let q8_1 = BlockType(QC_BLOCK_Q8_1, "q8_1", weights: 32, bytes: 36, bits: 8, fallback: .plain(.f16), scheme: nil)
  static let q8_k = BlockType(QC_BLOCK_Q8_K, "q8_k", weights: 256, bytes: 292, bits: 8, fallback: nil, scheme: nil)

  /// Every row, in the order in which schemes are listed.
  static let all: [BlockType] = [
    q8_0, q4_0, q4_1, q5_0, q5_1, q2_k, q3_k, q4_k, q5_k, q6_k, iq4_nl, iq4_xs, tq1_0, tq2_0, q1_0, q2_0, mxfp4, nvfp4, iq1_s, iq1_m,
    iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s, q8_1, q8_k,
  ]
}

// MARK: - What follows from a row

extension BlockType: Hashable {
  static func == (left: BlockType, right: BlockType) -> Bool { left.id == right.id }

  func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

extension BlockType {
  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The type of this name, or nil.
  static func named(_ name: String) -> BlockType? { byName[name] }

  /// The type whose blocks hold the codes of a scheme, or nil. A scheme of a type with several rules has both in its name:
  /// `mxfp4-ggml`.
  static func holding(scheme: String) -> BlockType? { scheme.split(separator: "-").first.flatMap { named(String($0)) } }

  /// Number of the type in files.
  var id: UInt32 { kernel.rawValue }

  /// The type used instead for rows whose length is not a multiple of `weights` (`tensor_type_fallback` of `src/llama-quant.cpp`);
  /// nil if llama.cpp has none.
  var fallback: GGUFTensorType? { fallbackID.flatMap { GGUFTensorType.type(id: $0) } }

  /// The scheme with llama.cpp's rounding rule; nil for a type that is only read.
  var scheme: (any GGUFBlockScheme)? { makeScheme?(self) }
  /// Name of that scheme.
  var schemeName: String { scheme?.name ?? name }

  /// Bytes of one row of `columns` weights.
  func rowBytes(columns: Int) -> Int { columns / weights * bytes }

  /// The kernel that turns floats into blocks, for this processor; nil for a type that is only read.
  var encoder: qc_block_encoder? { qc_block_encoder_at(kernel, qc_cpu_level()) }

  /// The kernel that improves stored parameters; nil for a type without a wider search.
  var refiner: qc_block_refiner? { qc_block_refiner_at(kernel, qc_cpu_level()) }

  /// The kernel that turns blocks into floats, for this processor.
  var decoder: qc_block_decoder? { qc_block_decoder_at(kernel, qc_cpu_level()) }
}
