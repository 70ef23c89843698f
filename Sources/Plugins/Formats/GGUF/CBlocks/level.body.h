// All loops for one instruction set, and the table of them. The including file sets QC_LANES, QC_LEVEL and the target.
//
// This file and those it includes are bodies, not headers, and are named NAME.body.h: each is compiled once for every instruction
// set, has no include guard, and cannot be compiled alone.
#define QC_JOIN2(a, b) a##_##b
#define QC_JOIN(a, b) QC_JOIN2(a, b)
#define QC_NAME(name) QC_JOIN(name, QC_LEVEL)

#include "lanes.body.h"
#include "scale_search.body.h"
#include "simple_blocks.body.h"
#include "super_blocks.body.h"
#include "low_super_blocks.body.h"
#include "table_blocks.body.h"
#include "low_bit_blocks.body.h"
#include "wide_search.body.h"
#include "simple_decoders.body.h"
#include "super_block_decoders.body.h"
#include "low_bit_decoders.body.h"
#include "table_decoders.body.h"
#include "float_blocks.body.h"
#include "grid_decoders.body.h"
#include "grid_search.body.h"
#include "grid_encoders.body.h"
#include "ternary_grid_encoders.body.h"
#include "point_search.body.h"

// A row of the table below: the weights of a block, its bytes, and its kernels. A type that is only read has a decoder; one that is
// written also has an encoder; one with a wider search also has a refiner, which needs `floats` parameters for each block.
#define QC_READ(type, length) .size.weights = length, .size.bytes = sizeof(qc_##type), .decode = QC_NAME(decode_##type)
#define QC_WRITTEN(type, length) QC_READ(type, length), .encode = QC_NAME(encode_##type)
#define QC_REFINED_BY(refiner, floats) .refine = QC_NAME(refine_##refiner), .size.parameters = floats

const qc_block_codec QC_NAME(qc_block_codecs)[QC_BLOCK_TYPE_LIMIT] = {
    [QC_BLOCK_Q4_0] = {QC_WRITTEN(q4_0, 32), QC_REFINED_BY(q4_0, 1)},
    [QC_BLOCK_Q4_1] = {QC_WRITTEN(q4_1, 32), QC_REFINED_BY(q4_1, 2)},
    [QC_BLOCK_Q5_0] = {QC_WRITTEN(q5_0, 32), QC_REFINED_BY(q5_0, 1)},
    [QC_BLOCK_Q5_1] = {QC_WRITTEN(q5_1, 32), QC_REFINED_BY(q5_1, 2)},
    [QC_BLOCK_Q8_0] = {QC_WRITTEN(q8_0, 32)},
    [QC_BLOCK_Q8_1] = {QC_READ(q8_1, 32)},
    [QC_BLOCK_Q2_K] = {QC_WRITTEN(q2_k, 256), QC_REFINED_BY(q2_k, 34)},
    [QC_BLOCK_Q3_K] = {QC_WRITTEN(q3_k, 256), QC_REFINED_BY(q3_k, 17)},
    [QC_BLOCK_Q4_K] = {QC_WRITTEN(q4_k, 256), QC_REFINED_BY(q4_k, 18)},
    [QC_BLOCK_Q5_K] = {QC_WRITTEN(q5_k, 256), QC_REFINED_BY(q5_k, 18)},
    [QC_BLOCK_Q6_K] = {QC_WRITTEN(q6_k, 256), QC_REFINED_BY(q6_k, 17)},
    [QC_BLOCK_Q8_K] = {QC_READ(q8_k, 256)},
    [QC_BLOCK_IQ2_XXS] = {QC_WRITTEN(iq2_xxs, 256)},
    [QC_BLOCK_IQ2_XS] = {QC_WRITTEN(iq2_xs, 256)},
    [QC_BLOCK_IQ3_XXS] = {QC_WRITTEN(iq3_xxs, 256)},
    [QC_BLOCK_IQ1_S] = {QC_WRITTEN(iq1_s, 256)},
    [QC_BLOCK_IQ4_NL] = {QC_WRITTEN(iq4_nl, 32), QC_REFINED_BY(iq4_nl, 1)},
    [QC_BLOCK_IQ3_S] = {QC_WRITTEN(iq3_s, 256)},
    [QC_BLOCK_IQ2_S] = {QC_WRITTEN(iq2_s, 256)},
    [QC_BLOCK_IQ4_XS] = {QC_WRITTEN(iq4_xs, 256), QC_REFINED_BY(iq4_xs, 9)},
    [QC_BLOCK_IQ1_M] = {QC_WRITTEN(iq1_m, 256)},
    [QC_BLOCK_TQ1_0] = {QC_WRITTEN(tq1_0, 256), QC_REFINED_BY(ternary, 1)},
    [QC_BLOCK_TQ2_0] = {QC_WRITTEN(tq2_0, 256), QC_REFINED_BY(ternary, 1)},
    [QC_BLOCK_MXFP4] = {QC_WRITTEN(mxfp4, 32)},
    [QC_BLOCK_NVFP4] = {QC_WRITTEN(nvfp4, 64)},
    [QC_BLOCK_Q1_0] = {QC_WRITTEN(q1_0, 128), QC_REFINED_BY(q1_0, 1)},
    [QC_BLOCK_Q2_0] = {QC_WRITTEN(q2_0, 64), QC_REFINED_BY(q2_0, 1)},
};

const qc_point_searcher _Nonnull QC_NAME(qc_point_searcher) = QC_NAME(nearest_points);
