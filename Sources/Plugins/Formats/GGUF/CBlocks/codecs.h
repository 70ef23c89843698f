// The tables of encoders and decoders, one per instruction set.
#ifndef QC_CODECS_H
#define QC_CODECS_H

// A product and a sum stay two operations, each rounded: fused, they would give other bits where a processor can fuse them.
#pragma STDC FP_CONTRACT OFF

#include "cblocks.h"
#include "codebooks.h"
#include "grids.h"
#include "half_float.h"
#include "layouts.h"

// Whether loops for the vector units of x86-64 are compiled and chosen from at run time. A portable build (-DQC_PORTABLE) has
// none of them.
#if defined(__x86_64__) && !defined(QC_PORTABLE)
#define QC_X86_LEVELS 1
#else
#define QC_X86_LEVELS 0
#endif

typedef struct {
  qc_block_encoder _Nullable encode;
  qc_block_decoder _Nullable decode;
} qc_block_codec;

extern const qc_block_refiner _Nullable qc_block_refiners_baseline[QC_BLOCK_TYPE_LIMIT];
extern const qc_block_refiner _Nullable qc_block_refiners_avx2[QC_BLOCK_TYPE_LIMIT];
extern const qc_block_refiner _Nullable qc_block_refiners_avx512[QC_BLOCK_TYPE_LIMIT];

extern const qc_block_codec qc_block_codecs_baseline[QC_BLOCK_TYPE_LIMIT];
extern const qc_block_codec qc_block_codecs_avx2[QC_BLOCK_TYPE_LIMIT];
extern const qc_block_codec qc_block_codecs_avx512[QC_BLOCK_TYPE_LIMIT];

#endif
