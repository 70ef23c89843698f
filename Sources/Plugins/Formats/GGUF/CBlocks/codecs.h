// The kernels of every block type, one table for each instruction set.
#ifndef QC_CODECS_H
#define QC_CODECS_H

// A product and a sum remain two operations, each rounded: fused, they would give other bits on processors that can fuse them.
#pragma STDC FP_CONTRACT OFF

#include "cblocks.h"
#include "codebooks.h"
#include "cpu.h"
#include "grids.h"
#include "half_float.h"
#include "layouts.h"

// Missing entries are NULL or 0.
typedef struct {
  qc_block_size size;
  qc_block_encoder _Nullable encode;
  qc_block_decoder _Nullable decode;
  qc_block_refiner _Nullable refine;
} qc_block_codec;

extern const qc_point_searcher _Nonnull qc_point_searcher_baseline, qc_point_searcher_avx2, qc_point_searcher_avx512;
extern const qc_block_codec qc_block_codecs_baseline[QC_BLOCK_TYPE_LIMIT];
extern const qc_block_codec qc_block_codecs_avx2[QC_BLOCK_TYPE_LIMIT];
extern const qc_block_codec qc_block_codecs_avx512[QC_BLOCK_TYPE_LIMIT];

#endif
