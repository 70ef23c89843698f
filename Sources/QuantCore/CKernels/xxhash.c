#include "xxh3.h"
#include "xxh3_update.h"

#include "ckernels.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

qc_xxh3_state *qc_xxh3_create(void) {
  XXH3_state_t *state = XXH3_createState();
  if (state != NULL) XXH3_128bits_reset(state);
  return (qc_xxh3_state *)state;
}

void qc_xxh3_update(qc_xxh3_state *state, const void *bytes, size_t count) {
#if defined(__x86_64__)
  if (qc_cpu_level() >= QC_AVX2) {
    qc_xxh3_update_avx2(state, bytes, count);
    return;
  }
#endif
  XXH3_128bits_update((XXH3_state_t *)state, bytes, count);
}

qc_xxh3_digest qc_xxh3_finish(const qc_xxh3_state *state) {
  const XXH128_hash_t hash = XXH3_128bits_digest((const XXH3_state_t *)state);
  return (qc_xxh3_digest){hash.low64, hash.high64};
}

void qc_xxh3_free(qc_xxh3_state *state) { XXH3_freeState((XXH3_state_t *)state); }
