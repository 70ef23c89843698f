// The kernels of a block type by instruction set. Which one is used changes speed, never results.
#include "codecs.h"

static const qc_block_codec *codec(qc_block_type type, int level) {
  static const qc_block_codec none;
  if (type >= QC_BLOCK_TYPE_LIMIT) return &none;
#if QC_X86_LEVELS
  if (level == QC_AVX512) return &qc_block_codecs_avx512[type];
  if (level == QC_AVX2) return &qc_block_codecs_avx2[type];
#else
  (void)level;
#endif
  return &qc_block_codecs_baseline[type];
}

qc_block_size qc_block_size_of(qc_block_type type) { return codec(type, QC_BASELINE)->size; }

qc_block_encoder qc_block_encoder_at(qc_block_type type, int level) { return codec(type, level)->encode; }

qc_block_refiner qc_block_refiner_at(qc_block_type type, int level) { return codec(type, level)->refine; }

qc_block_decoder qc_block_decoder_at(qc_block_type type, int level) { return codec(type, level)->decode; }

qc_point_searcher qc_point_searcher_at(int level) {
#if QC_X86_LEVELS
  if (level == QC_AVX512) return qc_point_searcher_avx512;
  if (level == QC_AVX2) return qc_point_searcher_avx2;
#else
  (void)level;
#endif
  return qc_point_searcher_baseline;
}
