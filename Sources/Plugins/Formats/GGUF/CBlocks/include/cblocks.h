// Block layouts of GGUF: rows of 32-bit floats to packed bytes and back.
//
// Every encoder does the operations of llama.cpp's reference quantizer in the reference's order, without fused
// multiply-add, so its bytes equal those of a default llama.cpp build on every instruction set.
#ifndef QC_BLOCKS_H
#define QC_BLOCKS_H

#include <stdint.h>

/// The block layouts that can be written and read.
typedef enum qc_block_type {
  QC_BLOCK_Q8_0,
  QC_BLOCK_Q4_0,
  QC_BLOCK_Q4_1,
  QC_BLOCK_Q5_0,
  QC_BLOCK_Q5_1,
  QC_BLOCK_Q4_K,
  QC_BLOCK_Q5_K,
  QC_BLOCK_Q6_K,
  QC_BLOCK_TYPE_COUNT
} qc_block_type;

/// The instruction sets that the loops are compiled for.
typedef enum qc_block_level {
  QC_BLOCK_LEVEL_BASELINE,
  QC_BLOCK_LEVEL_AVX2,
  QC_BLOCK_LEVEL_AVX512
} qc_block_level;

/// Encodes `rows` contiguous rows of `columns` floats. `columns` is a multiple of the block length. `importance` has one
/// non-negative weight per column, or is NULL. `destination` has room for exactly the packed bytes.
typedef void (*qc_block_encoder)(
    const float *_Nonnull source, int64_t rows, int64_t columns, const float *_Nullable importance,
    void *_Nonnull destination);

/// Decodes `weights` values, a multiple of the block length. `source` needs no alignment.
typedef void (*qc_block_decoder)(
    const void *_Nonnull source, int64_t weights, float *_Nonnull destination);

/// The best level of this processor, or a lower one that the environment variable QCONVERT_CPU
/// (baseline, avx2, avx512) asks for.
qc_block_level qc_block_best_level(void);

/// The encoder of a layout at a level that this processor has.
qc_block_encoder _Nonnull qc_block_encoder_at(qc_block_type type, qc_block_level level);

/// The decoder of a layout at a level that this processor has.
qc_block_decoder _Nonnull qc_block_decoder_at(qc_block_type type, qc_block_level level);

#endif
