#include "levels.h"

#include <math.h>

void qc_count_magnitudes(const float *x, long count, double width, long bins, uint64_t *counts) {
  for (long i = 0; i < count; i++) {
    double magnitude = fabs((double)x[i]);
    if (!isfinite(magnitude)) continue;
    double bin = magnitude / width;
    counts[bin < (double)(bins - 1) ? (long)bin : bins - 1]++;
  }
}
