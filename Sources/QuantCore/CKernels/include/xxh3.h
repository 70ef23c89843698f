// 128-bit XXH3 over a stream of bytes, from the header-only form of the xxHash library.
#ifndef QC_XXH3_H
#define QC_XXH3_H

#include <stddef.h>
#include <stdint.h>

/// A hash as two 64-bit words; the canonical text form is `high` then `low`.
typedef struct {
  uint64_t low;
  uint64_t high;
} qc_xxh3_digest;

typedef struct qc_xxh3_state qc_xxh3_state;

/// A new stream, or NULL if there is no memory.
qc_xxh3_state *qc_xxh3_create(void);
void qc_xxh3_update(qc_xxh3_state *state, const void *bytes, size_t count);
/// The hash of the bytes so far; more can be added afterwards.
qc_xxh3_digest qc_xxh3_finish(const qc_xxh3_state *state);
void qc_xxh3_free(qc_xxh3_state *state);

#endif
