// All loops for one instruction set, and the table of them. The including file sets QC_LANES, QC_LEVEL and the target.
#define QC_JOIN2(a, b) a##_##b
#define QC_JOIN(a, b) QC_JOIN2(a, b)
#define QC_NAME(name) QC_JOIN(name, QC_LEVEL)

#include "lanes.h"
#include "scale_search.h"
#include "simple_blocks.h"
#include "super_blocks.h"
#include "decoders.h"

#define QC_ENTRY(type) {QC_NAME(encode_##type), QC_NAME(decode_##type)}

const qc_block_codec QC_NAME(qc_block_codecs)[QC_BLOCK_TYPE_COUNT] = {
    [QC_BLOCK_Q8_0] = QC_ENTRY(q8_0), [QC_BLOCK_Q4_0] = QC_ENTRY(q4_0), [QC_BLOCK_Q4_1] = QC_ENTRY(q4_1),
    [QC_BLOCK_Q5_0] = QC_ENTRY(q5_0), [QC_BLOCK_Q5_1] = QC_ENTRY(q5_1), [QC_BLOCK_Q4_K] = QC_ENTRY(q4_k),
    [QC_BLOCK_Q5_K] = QC_ENTRY(q5_k), [QC_BLOCK_Q6_K] = QC_ENTRY(q6_k),
};
