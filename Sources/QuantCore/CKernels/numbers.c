#include "levels.h"
#include "rounded.h"

/* Plain numbers between their bytes in a file, which need no alignment, and 32-bit floats. The formulas are those of
   NumberConversion, whose single conversions are the readable twins. */

QC_BODY void widen_bfloats_body(const void *bytes, long count, float *restrict values) {
  const uint8_t *source = bytes;
  for (long i = 0; i < count; i++) {
    uint16_t bits;
    memcpy(&bits, source + 2 * i, sizeof bits);
    values[i] = float_of((uint32_t)bits << 16);
  }
}
QC_LEVELS(void, widen_bfloats, (const void *bytes, long count, float *values), (bytes, count, values))

QC_BODY void widen_halves_body(const void *bytes, long count, float *restrict values) {
  const uint8_t *source = bytes;
  for (long i = 0; i < count; i++) {
    uint16_t bits;
    memcpy(&bits, source + 2 * i, sizeof bits);
    /* Moved into place, the exponent is too small by 112, for subnormals too. */
    uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13;
    uint32_t scaled = bits_of(float_of(magnitude) * 0x1p112f);
    uint32_t special = magnitude >= 0x0f800000 ? 0x7f800000 : 0;
    values[i] = float_of(scaled | special | (uint32_t)(bits & 0x8000) << 16);
  }
}
QC_LEVELS(void, widen_halves, (const void *bytes, long count, float *values), (bytes, count, values))

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
