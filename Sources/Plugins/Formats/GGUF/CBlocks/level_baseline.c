// Loops for any processor: four lanes are one SSE2 or NEON register.
#include "codecs.h"

#define QC_LANES 4
#define QC_LEVEL baseline
#include "level.body.h"
