// All loops for one instruction set, and the table of them. The including file sets QC_LANES, QC_LEVEL and the target.
#define QC_JOIN2(a, b) a##_##b
#define QC_JOIN(a, b) QC_JOIN2(a, b)
#define QC_NAME(name) QC_JOIN(name, QC_LEVEL)

#include "lanes.h"
#include "scale_search.h"
#include "simple_blocks.h"
#include "super_blocks.h"
#include "low_super_blocks.h"
#include "table_blocks.h"
#include "low_bit_blocks.h"
#include "wide_search.h"
#include "simple_decoders.h"
#include "super_block_decoders.h"
#include "low_bit_decoders.h"
#include "table_decoders.h"
#include "float_blocks.h"
#include "grid_decoders.h"
#include "grid_search.h"
#include "grid_encoders.h"
#include "ternary_grid_encoders.h"

#define QC_BOTH(type) {QC_NAME(encode_##type), QC_NAME(decode_##type)}
#define QC_READ(type) {0, QC_NAME(decode_##type)}

const qc_block_codec QC_NAME(qc_block_codecs)[QC_BLOCK_TYPE_LIMIT] = {
    [QC_BLOCK_Q8_0] = QC_BOTH(q8_0), [QC_BLOCK_Q4_0] = QC_BOTH(q4_0), [QC_BLOCK_Q4_1] = QC_BOTH(q4_1),
    [QC_BLOCK_Q5_0] = QC_BOTH(q5_0), [QC_BLOCK_Q5_1] = QC_BOTH(q5_1), [QC_BLOCK_Q2_K] = QC_BOTH(q2_k),
    [QC_BLOCK_Q3_K] = QC_BOTH(q3_k), [QC_BLOCK_Q4_K] = QC_BOTH(q4_k), [QC_BLOCK_Q5_K] = QC_BOTH(q5_k),
    [QC_BLOCK_Q6_K] = QC_BOTH(q6_k), [QC_BLOCK_IQ4_NL] = QC_BOTH(iq4_nl), [QC_BLOCK_IQ4_XS] = QC_BOTH(iq4_xs),
    [QC_BLOCK_TQ1_0] = QC_BOTH(tq1_0), [QC_BLOCK_TQ2_0] = QC_BOTH(tq2_0), [QC_BLOCK_Q1_0] = QC_BOTH(q1_0),
    [QC_BLOCK_Q2_0] = QC_BOTH(q2_0), [QC_BLOCK_MXFP4] = QC_BOTH(mxfp4), [QC_BLOCK_NVFP4] = QC_BOTH(nvfp4),
    [QC_BLOCK_Q8_1] = QC_READ(q8_1), [QC_BLOCK_Q8_K] = QC_READ(q8_k),
    [QC_BLOCK_IQ2_XXS] = QC_BOTH(iq2_xxs), [QC_BLOCK_IQ2_XS] = QC_BOTH(iq2_xs), [QC_BLOCK_IQ2_S] = QC_BOTH(iq2_s),
    [QC_BLOCK_IQ3_XXS] = QC_BOTH(iq3_xxs), [QC_BLOCK_IQ3_S] = QC_BOTH(iq3_s), [QC_BLOCK_IQ1_S] = QC_BOTH(iq1_s),
    [QC_BLOCK_IQ1_M] = QC_BOTH(iq1_m),
};

#define QC_REFINES(type) QC_NAME(refine_##type)

const qc_block_refiner _Nullable QC_NAME(qc_block_refiners)[QC_BLOCK_TYPE_LIMIT] = {
    [QC_BLOCK_Q4_0] = QC_REFINES(q4_0), [QC_BLOCK_Q4_1] = QC_REFINES(q4_1), [QC_BLOCK_Q5_0] = QC_REFINES(q5_0),
    [QC_BLOCK_Q5_1] = QC_REFINES(q5_1), [QC_BLOCK_Q2_K] = QC_REFINES(q2_k), [QC_BLOCK_Q3_K] = QC_REFINES(q3_k),
    [QC_BLOCK_Q4_K] = QC_REFINES(q4_k), [QC_BLOCK_Q5_K] = QC_REFINES(q5_k), [QC_BLOCK_Q6_K] = QC_REFINES(q6_k),
    [QC_BLOCK_IQ4_NL] = QC_REFINES(iq4_nl), [QC_BLOCK_IQ4_XS] = QC_REFINES(iq4_xs), [QC_BLOCK_TQ1_0] = QC_REFINES(tq1_0),
    [QC_BLOCK_TQ2_0] = QC_REFINES(tq1_0), [QC_BLOCK_Q1_0] = QC_REFINES(q1_0), [QC_BLOCK_Q2_0] = QC_REFINES(q2_0),
};
