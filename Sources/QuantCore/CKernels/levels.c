#include "levels.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static int detect(void) {
#if QC_X86_LEVELS
  int level = QC_BASELINE;
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    level = QC_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512dq"))
      level = QC_AVX512;
  }
  const char *wish = getenv("QCONVERT_CPU");
  if (wish && !strcmp(wish, "baseline")) return QC_BASELINE;
  if (wish && !strcmp(wish, "avx2") && level > QC_AVX2) return QC_AVX2;
  return level;
#else
  return QC_BASELINE;
#endif
}

int qc_cpu_has_bfloat(void) {
#if QC_X86_LEVELS
  return qc_cpu_level() == QC_AVX512 && __builtin_cpu_supports("avx512bf16");
#else
  return 0;
#endif
}

int qc_cpu_level(void) {
  /* Threads that race here all store the same value. */
  static _Atomic int known = -1;
  int level = atomic_load_explicit(&known, memory_order_relaxed);
  if (level < 0) {
    level = detect();
    atomic_store_explicit(&known, level, memory_order_relaxed);
  }
  return level;
}
