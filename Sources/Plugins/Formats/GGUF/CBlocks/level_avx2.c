// Loops for x86-64 processors with AVX2.
#include "codecs.h"

#if QC_X86_LEVELS
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#define QC_LANES 8
#define QC_LEVEL avx2
#include "level.body.h"
#pragma clang attribute pop
#endif
