// Values that break careless arithmetic, in buffers that end where the data ends.
#ifndef QC_HOSTILE_H
#define QC_HOSTILE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t qc_random_state = 1;

static uint32_t qc_random(void) {
  qc_random_state = qc_random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(qc_random_state >> 32);
}

static float qc_random_unit(void) { return (float)(int32_t)qc_random() * 0x1p-31f; }

// Kinds of rows; each breaks something different.
enum { QC_WEIGHTS, QC_ZEROS, QC_EQUAL, QC_TINY, QC_HUGE, QC_MIXED, QC_ANY_BITS, QC_NOT_FINITE, QC_KINDS };

static float qc_value(int kind) {
  static const float special[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 0x1p-149f, -0x1p-126f, 3.4028235e38f, -3.4028235e38f, 1.0f};
  uint32_t bits = qc_random();
  float any;
  memcpy(&any, &bits, sizeof any);
  switch (kind) {
  case QC_WEIGHTS: return qc_random_unit() * 0.1f;
  case QC_ZEROS: return bits & 1 ? 0.0f : -0.0f;
  case QC_EQUAL: return -0.75f;
  case QC_TINY: return qc_random_unit() * 0x1p-140f;
  case QC_HUGE: return qc_random_unit() * 3.4e38f;
  case QC_MIXED: return ldexpf(qc_random_unit(), (int)(bits % 250) - 125);
  case QC_ANY_BITS: return any;
  default: return special[bits % (sizeof special / sizeof *special)];
  }
}

// A buffer of exactly `count` bytes, so that an access to the first byte after it is noticed.
static void *qc_exactly(size_t count) {
  void *buffer = malloc(count ? count : 1);
  if (!buffer) abort();
  return buffer;
}

static float *qc_row(int kind, long count) {
  float *row = qc_exactly((size_t)count * sizeof *row);
  for (long i = 0; i < count; i++) row[i] = qc_value(kind);
  return row;
}

#endif
