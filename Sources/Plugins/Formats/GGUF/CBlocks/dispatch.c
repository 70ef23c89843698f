// Choice of the instruction set at run time. It changes speed, never results.
#include <stdlib.h>
#include <string.h>

#include "codecs.h"

static qc_block_level processor_level(void) {
#if QC_X86_LEVELS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    return QC_BLOCK_LEVEL_AVX512;
  }
  if (__builtin_cpu_supports("avx2")) return QC_BLOCK_LEVEL_AVX2;
#endif
  return QC_BLOCK_LEVEL_BASELINE;
}

qc_block_level qc_block_best_level(void) {
  qc_block_level level = processor_level(), limit = level;
  const char *wish = getenv("QCONVERT_CPU");
  if (wish && strcmp(wish, "baseline") == 0) limit = QC_BLOCK_LEVEL_BASELINE;
  if (wish && strcmp(wish, "avx2") == 0) limit = QC_BLOCK_LEVEL_AVX2;
  return limit < level ? limit : level;
}

static const qc_block_codec *codecs(qc_block_level level) {
#if QC_X86_LEVELS
  if (level == QC_BLOCK_LEVEL_AVX512) return qc_block_codecs_avx512;
  if (level == QC_BLOCK_LEVEL_AVX2) return qc_block_codecs_avx2;
#else
  (void)level;
#endif
  return qc_block_codecs_baseline;
}

qc_block_refiner qc_block_refiner_at(qc_block_type type, qc_block_level level) {
  if (type >= QC_BLOCK_TYPE_LIMIT) return 0;
#if QC_X86_LEVELS
  if (level == QC_BLOCK_LEVEL_AVX512) return qc_block_refiners_avx512[type];
  if (level == QC_BLOCK_LEVEL_AVX2) return qc_block_refiners_avx2[type];
#else
  (void)level;
#endif
  return qc_block_refiners_baseline[type];
}

qc_block_encoder qc_block_encoder_at(qc_block_type type, qc_block_level level) {
  return type < QC_BLOCK_TYPE_LIMIT ? codecs(level)[type].encode : 0;
}

qc_block_decoder qc_block_decoder_at(qc_block_type type, qc_block_level level) {
  return type < QC_BLOCK_TYPE_LIMIT ? codecs(level)[type].decode : 0;
}
