// The values of codes that are not evenly spaced.
#ifndef QC_CODEBOOKS_H
#define QC_CODEBOOKS_H

#include <stdint.h>

/// Levels of iq4_nl and iq4_xs, denser near zero.
extern const int8_t qc_uneven_levels[16];
/// Twice the values of E2M1 (OCP Microscaling Formats, section 5.3.3); negative zero is zero.
extern const int8_t qc_doubled_e2m1[16];

/// Points of the grids. A point is 8 or 4 weights before scale and signs.
typedef struct {
  int8_t iq2_xxs[256][8], iq2_xs[512][8], iq2_s[1024][8], iq1[2048][8];
  int8_t iq3_xxs[256][4], iq3_s[512][4];
} qc_grids;

/// The grids, which are built on the first call.
const qc_grids *qc_block_grids(void);

#endif
