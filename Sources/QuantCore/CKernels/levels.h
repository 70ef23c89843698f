#ifndef QC_LEVELS_H
#define QC_LEVELS_H

#include "ckernels.h"

/* A product and a sum stay two operations, each rounded: compilers fuse them unless told not to, and on processors that can,
   the result would have other bits. Each source in this folder that computes with floats includes this header first. */
#pragma STDC FP_CONTRACT OFF

/* One body, compiled once per instruction set and chosen at run time. Bodies contain no fused multiply-add (see above) and
   sum in a fixed number of lanes, so that every level gives the same bits. */

#define QC_BODY static inline __attribute__((always_inline))

#if QC_X86_LEVELS
#define QC_TARGET_AVX2 __attribute__((target("avx2,fma")))
#define QC_TARGET_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq")))
#define QC_TARGET_BFLOAT __attribute__((target("avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512bf16")))
#define QC_LEVELS(RESULT, NAME, PARAMETERS, ARGUMENTS)                                                                 \
  static RESULT NAME##_baseline PARAMETERS { return NAME##_body ARGUMENTS; }                                           \
  QC_TARGET_AVX2 static RESULT NAME##_avx2 PARAMETERS { return NAME##_body ARGUMENTS; }                                \
  QC_TARGET_AVX512 static RESULT NAME##_avx512 PARAMETERS { return NAME##_body ARGUMENTS; }                            \
  RESULT qc_##NAME PARAMETERS {                                                                                        \
    int level = qc_cpu_level();                                                                                        \
    if (level == QC_AVX512) return NAME##_avx512 ARGUMENTS;                                                            \
    if (level == QC_AVX2) return NAME##_avx2 ARGUMENTS;                                                                \
    return NAME##_baseline ARGUMENTS;                                                                                  \
  }
#else
#define QC_LEVELS(RESULT, NAME, PARAMETERS, ARGUMENTS)                                                                 \
  RESULT qc_##NAME PARAMETERS { return NAME##_body ARGUMENTS; }
#endif

#endif
