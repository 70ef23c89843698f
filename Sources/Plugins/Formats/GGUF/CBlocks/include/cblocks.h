// Block layouts of GGUF: rows of 32-bit floats to packed bytes and back.
//
// Every encoder does the operations of llama.cpp's reference quantizer in the reference's order, without fused
// multiply-add, so its bytes equal those of a default llama.cpp build on every instruction set.
#ifndef QC_BLOCKS_H
#define QC_BLOCKS_H

#include "cpu.h"

#include <stdint.h>

/// The block types, with their numbers in files.
typedef enum qc_block_type {
  QC_BLOCK_Q4_0 = 2,
  QC_BLOCK_Q4_1 = 3,
  QC_BLOCK_Q5_0 = 6,
  QC_BLOCK_Q5_1 = 7,
  QC_BLOCK_Q8_0 = 8,
  QC_BLOCK_Q8_1 = 9,
  QC_BLOCK_Q2_K = 10,
  QC_BLOCK_Q3_K = 11,
  QC_BLOCK_Q4_K = 12,
  QC_BLOCK_Q5_K = 13,
  QC_BLOCK_Q6_K = 14,
  QC_BLOCK_Q8_K = 15,
  QC_BLOCK_IQ2_XXS = 16,
  QC_BLOCK_IQ2_XS = 17,
  QC_BLOCK_IQ3_XXS = 18,
  QC_BLOCK_IQ1_S = 19,
  QC_BLOCK_IQ4_NL = 20,
  QC_BLOCK_IQ3_S = 21,
  QC_BLOCK_IQ2_S = 22,
  QC_BLOCK_IQ4_XS = 23,
  QC_BLOCK_IQ1_M = 29,
  QC_BLOCK_TQ1_0 = 34,
  QC_BLOCK_TQ2_0 = 35,
  QC_BLOCK_MXFP4 = 39,
  QC_BLOCK_NVFP4 = 40,
  QC_BLOCK_Q1_0 = 41,
  QC_BLOCK_Q2_0 = 42,
  QC_BLOCK_TYPE_LIMIT
} qc_block_type;

/// The size of one block in the kernels.
typedef struct qc_block_size {
  int32_t weights;
  int32_t bytes;
  /// Floats that a refiner needs for one block; 0 if there is no refiner.
  int32_t parameters;
} qc_block_size;

/// Encodes `rows` contiguous rows of `columns` floats. `columns` is a multiple of the block length. `importance` has one
/// non-negative value per column, or is NULL. `destination` has room for exactly the packed bytes.
typedef void (*qc_block_encoder)(
    const float *_Nonnull source, int64_t rows, int64_t columns, const float *_Nullable importance,
    void *_Nonnull destination);

/// Decodes `weights` weights, a multiple of the block length. `source` needs no alignment.
typedef void (*qc_block_decoder)(
    const void *_Nonnull source, int64_t weights, float *_Nonnull destination);

/// Improves the stored parameters of `blocks` blocks. `weights` has the weight of each error, which is not negative: the error with
/// the nearest codes under the parameters never grows. Parameters are in the order of the Swift schemes.
typedef void (*qc_block_refiner)(
    const float *_Nonnull source, const float *_Nonnull weights, int64_t blocks, float *_Nonnull parameters);

/// How the points of a grid stand for weights.
typedef struct qc_point_rule {
  /// Coordinate after coordinate, the values of all points before scale and sign.
  const float *_Nonnull points;
  /// Coordinates of a point: 8 or 4.
  int32_t length;
  /// Number of points, a multiple of 256.
  int32_t count;
  /// Signs that are stored for 8 weights: 8, 7 if the number of minus signs is even, or 0.
  int32_t signs;
} qc_point_rule;

/// Chooses points, and signs, for rows of 8 contiguous weights, divided by their scales, so that e' M e is small for their errors e.
/// `metric` is M, 8 by 8, symmetric and positive definite. `scratch` has room for 8 / length * count floats, `indices` for 8 / length
/// and `signs` for one byte (bit i: weight i is negative) per row.
typedef void (*qc_point_searcher)(
    const qc_point_rule *_Nonnull rule, const float *_Nonnull source, int64_t rows, const float *_Nonnull metric,
    float *_Nonnull scratch, uint16_t *_Nonnull indices, uint8_t *_Nonnull signs);

/// The search at a level that this processor has.
qc_point_searcher _Nonnull qc_point_searcher_at(int level);

/// The size of a block, from the struct that the kernels read and write. Zeros for a number that is not a block type.
qc_block_size qc_block_size_of(qc_block_type type);

/// The encoder of a type at a level (see cpu.h) that this processor has, or NULL for a type that is only read.
qc_block_encoder _Nullable qc_block_encoder_at(qc_block_type type, int level);

/// The refiner of a type at a level that this processor has, or NULL for a type that has none.
qc_block_refiner _Nullable qc_block_refiner_at(qc_block_type type, int level);

/// The decoder of a type at a level that this processor has, or NULL for a number that is not a block type.
qc_block_decoder _Nullable qc_block_decoder_at(qc_block_type type, int level);

#endif
