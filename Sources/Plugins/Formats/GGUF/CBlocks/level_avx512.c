// Loops for x86-64 processors with AVX-512.
#include "codecs.h"

#if QC_X86_LEVELS
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define QC_LANES 16
#define QC_LEVEL avx512
#include "level.body.h"
#pragma clang attribute pop
#endif
