#include "levels.h"
#include "rounded.h"

/* Conversions between plain values in a file, whose bytes need no alignment, and 32-bit floats. The formulas are those of
   NumberConversion, whose conversions of one value are the readable twins. */

/* Values whose bytes are prefetched together. */
enum { RUN = 256 };

/* Sources are mapped files, read once, and no processor prefetches across a page. An address after the source does no harm. */
QC_BODY void fetch_ahead(const uint8_t *run) {
  for (int i = 0; i < 2 * RUN; i += 64) __builtin_prefetch(run + 2048 + i);
}

QC_BODY float float_of_bfloat(const uint8_t *source) {
  uint16_t bits;
  memcpy(&bits, source, sizeof bits);
  return float_of((uint32_t)bits << 16);
}

QC_BODY float float_of_half(const uint8_t *source) {
  uint16_t bits;
  memcpy(&bits, source, sizeof bits);
  uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13;
  /* The exponent of a half is 112 less than that of a float. Subnormal halves are offset by 2^-14, which is then subtracted
     again: no intermediate value is subnormal, which would be slow on many processors. */
  uint32_t small = bits_of(float_of(magnitude + 0x38800000) - 0x1p-14f);
  uint32_t normal = magnitude + (magnitude >= 0x0f800000 ? 0x70000000 : 0x38000000);
  return float_of((magnitude < 0x00800000 ? small : normal) | (uint32_t)(bits & 0x8000) << 16);
}

#define QC_WIDEN(NAME, FLOAT_OF)                                                                                       \
  QC_BODY void NAME##_body(const void *bytes, long count, float *restrict values) {                                    \
    const uint8_t *source = bytes;                                                                                     \
    long i = 0;                                                                                                        \
    for (; i + RUN <= count; i += RUN) {                                                                               \
      fetch_ahead(source + 2 * i);                                                                                     \
      for (long j = i; j < i + RUN; j++) values[j] = FLOAT_OF(source + 2 * j);                                         \
    }                                                                                                                  \
    for (; i < count; i++) values[i] = FLOAT_OF(source + 2 * i);                                                       \
  }                                                                                                                    \
  QC_LEVELS(void, NAME, (const void *bytes, long count, float *values), (bytes, count, values))

QC_WIDEN(widen_bfloats, float_of_bfloat)
QC_WIDEN(widen_halves, float_of_half)

QC_BODY void narrow_bfloats_body(const float *restrict values, long count, void *bytes) {
  uint8_t *target = bytes;
  for (long i = 0; i < count; i++) {
    uint32_t bits = bits_of(values[i]);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    uint16_t result = (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? bits >> 16 | 0x40 : rounded);
    memcpy(target + 2 * i, &result, sizeof result);
  }
}
QC_LEVELS(void, narrow_bfloats, (const float *values, long count, void *bytes), (values, count, bytes))

QC_BODY void narrow_halves_body(const float *restrict values, long count, void *bytes) {
  uint8_t *target = bytes;
  for (long i = 0; i < count; i++) {
    uint32_t bits = bits_of(values[i]), magnitude = bits & 0x7fffffff;
    /* Adding 0.5 to a value below 2^-14 aligns its mantissa with the subnormal halves, and rounds it. */
    uint32_t subnormal = bits_of(float_of(magnitude) + 0.5f) - 0x3f000000;
    uint32_t normal = (magnitude + 0xc8000fff + (magnitude >> 13 & 1)) >> 13;
    uint32_t special = magnitude > 0x7f800000 ? 0x7e00 | (magnitude >> 13 & 0x1ff) : 0x7c00;
    uint32_t small = magnitude < 0x38800000 ? subnormal : normal;
    uint16_t result = (uint16_t)((magnitude >= 0x47800000 ? special : small) | (bits >> 16 & 0x8000));
    memcpy(target + 2 * i, &result, sizeof result);
  }
}
QC_LEVELS(void, narrow_halves, (const float *values, long count, void *bytes), (values, count, bytes))

QC_BODY void narrow_doubles_body(const void *bytes, long count, float *restrict values) {
  const uint8_t *source = bytes;
  for (long i = 0; i < count; i++) {
    double value;
    memcpy(&value, source + 8 * i, sizeof value);
    values[i] = (float)value;
  }
}
QC_LEVELS(void, narrow_doubles, (const void *bytes, long count, float *values), (bytes, count, values))
