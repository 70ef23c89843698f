/* qc_xxh3_update for one instruction set: the library is a header that selects its vector code when it is compiled. */
#ifndef QC_XXH3_UPDATE_H
#define QC_XXH3_UPDATE_H

#include "xxh3.h"

#if defined(__x86_64__)
void qc_xxh3_update_avx2(qc_xxh3_state *state, const void *bytes, size_t count);
#endif

#endif
