#include "levels.h"
#include "rounded.h"

/* Floats of 4 and 8 bits: the codes of weights, and the values of codes. */

/* The parameters of a type. The largest value of E4M3 does not have the largest mantissa: that pattern is NaN. */
typedef struct {
  int mantissa_bits, bias;
  float largest;
  /* The smallest normal value, and 2^23 times the smallest positive value, which is the last bit of a float of that size. */
  float smallest_normal, subnormal_unit;
  /* Distance of the sign bit from the top of a byte. */
  int sign_shift;
} short_type;

QC_BODY short_type type_of(int element) {
  if (element == QC_E2M1) return (short_type){1, 1, 6.0f, 1.0f, 0x1p22f, 4};
  if (element == QC_E3M0) return (short_type){0, 3, 16.0f, 0.25f, 0x1p21f, 4};
  if (element == QC_E5M2) return (short_type){2, 15, 57344.0f, 0x1p-14f, 0x1p7f, 0};
  return (short_type){3, 7, 448.0f, 0x1p-6f, 0x1p14f, 0};
}

/* The nearest code, ties to even; values beyond the largest one get its code, and NaN counts as 0. */
QC_BODY int32_t code_of(float value, short_type type) {
  /* Adding 0 makes a negative zero positive. */
  float number = value == value ? value + 0.0f : 0.0f;
  uint32_t magnitude_bits = bits_of(number) & 0x7fffffff;
  float magnitude = float_of(magnitude_bits);
  magnitude = magnitude < type.largest ? magnitude : type.largest;
  uint32_t bits = bits_of(magnitude);
  int shift = 23 - type.mantissa_bits;
  uint32_t subnormal = bits_of(magnitude + type.subnormal_unit) - bits_of(type.subnormal_unit);
  uint32_t rebased = bits - ((uint32_t)(127 - type.bias) << 23);
  uint32_t normal = (rebased + ((1u << (shift - 1)) - 1) + (bits >> shift & 1)) >> shift;
  uint32_t code = magnitude < type.smallest_normal ? subnormal : normal;
  return (int32_t)(code | (bits_of(number) >> 24 & 0x80) >> type.sign_shift);
}

/* The value of a code. The largest codes of E4M3 and E5M2 are not finite. */
QC_BODY float value_of(uint32_t code, int element) {
  short_type type = type_of(element);
  uint32_t sign = code << type.sign_shift & 0x80, magnitude = code & 0x7f >> type.sign_shift;
  uint32_t normal = (magnitude << (23 - type.mantissa_bits)) + ((uint32_t)(127 - type.bias) << 23);
  uint32_t bits = magnitude < 1u << type.mantissa_bits ? bits_of((float)(int32_t)magnitude * (type.subnormal_unit * 0x1p-23f)) : normal;
  if (element == QC_E4M3) bits = magnitude == 0x7f ? 0x7fc00000 : bits;
  if (element == QC_E5M2) bits = magnitude >= 0x7c ? 0x7f800000 | (magnitude & 3) << 21 : bits;
  return float_of(bits | sign << 24);
}

/* Loops over groups, of which the last may be shorter. Types are constants inside, so that the compiler specializes the loop. */
#define QC_GROUPS(GROUP)                                                                       \
  for (long start = 0, group = 0; start < count; start += length, group++) {                   \
    long end = start + length < count ? start + length : count;                                \
    for (long i = start; i < end; i++) GROUP;                                                  \
  }

QC_BODY void codes_of(
    const float *x, long count, long length, const float *scales, int type, int quotient_type, int element, int32_t *codes) {
  QC_GROUPS(codes[i] = code_of(rounded(rounded(x[i], type) / scales[group], quotient_type), type_of(element)))
}

QC_BODY void typed_codes(
    const float *x, long count, long length, const float *scales, int type, int quotient_type, int element, int32_t *codes) {
  if (type == QC_BFLOAT && quotient_type == QC_BFLOAT)
    codes_of(x, count, length, scales, QC_BFLOAT, QC_BFLOAT, element, codes);
  else if (type == QC_BFLOAT) codes_of(x, count, length, scales, QC_BFLOAT, QC_FLOAT, element, codes);
  else if (type == QC_HALF && quotient_type == QC_HALF) codes_of(x, count, length, scales, QC_HALF, QC_HALF, element, codes);
  else if (type == QC_HALF) codes_of(x, count, length, scales, QC_HALF, QC_FLOAT, element, codes);
  else codes_of(x, count, length, scales, QC_FLOAT, QC_FLOAT, element, codes);
}

QC_BODY void short_codes_body(
    const float *x, long count, long length, const float *scales, int type, int quotient_type, int element, int32_t *codes) {
  if (element == QC_E2M1) typed_codes(x, count, length, scales, type, quotient_type, QC_E2M1, codes);
  else if (element == QC_E3M0) typed_codes(x, count, length, scales, type, quotient_type, QC_E3M0, codes);
  else if (element == QC_E5M2) typed_codes(x, count, length, scales, type, quotient_type, QC_E5M2, codes);
  else typed_codes(x, count, length, scales, type, quotient_type, QC_E4M3, codes);
}
QC_LEVELS(
    void, short_codes,
    (const float *x, long count, long length, const float *scales, int type, int quotient_type, int element, int32_t *codes),
    (x, count, length, scales, type, quotient_type, element, codes))

QC_BODY void values_of(const int32_t *codes, long count, long length, const float *scales, int element, float *values) {
  QC_GROUPS(values[i] = value_of((uint32_t)codes[i] & 0xff, element) * scales[group])
}

QC_BODY void short_values_body(const int32_t *codes, long count, long length, const float *scales, int element, float *values) {
  if (element == QC_E2M1) values_of(codes, count, length, scales, QC_E2M1, values);
  else if (element == QC_E3M0) values_of(codes, count, length, scales, QC_E3M0, values);
  else if (element == QC_E5M2) values_of(codes, count, length, scales, QC_E5M2, values);
  else values_of(codes, count, length, scales, QC_E4M3, values);
}
QC_LEVELS(
    void, short_values, (const int32_t *codes, long count, long length, const float *scales, int element, float *values),
    (codes, count, length, scales, element, values))

QC_BODY void byte_values_of(const uint8_t *codes, long count, long length, const float *scales, int element, float *values) {
  QC_GROUPS(values[i] = value_of(codes[i], element) * scales[group])
}

QC_BODY void byte_values_body(const uint8_t *codes, long count, long length, const float *scales, int element, float *values) {
  if (element == QC_E5M2) byte_values_of(codes, count, length, scales, QC_E5M2, values);
  else byte_values_of(codes, count, length, scales, QC_E4M3, values);
}
QC_LEVELS(
    void, byte_values, (const uint8_t *codes, long count, long length, const float *scales, int element, float *values),
    (codes, count, length, scales, element, values))

QC_BODY void nibble_values_body(
    const uint8_t *restrict pairs, long count, long length, const float *restrict scales, float *restrict values) {
  for (long start = 0, group = 0; start < count; start += length, group++) {
    long end = start + length < count ? start + length : count;
    float scale = scales[group];
    for (long i = start / 2; i < end / 2; i++) {
      values[2 * i] = value_of(pairs[i] & 15, QC_E2M1) * scale;
      values[2 * i + 1] = value_of(pairs[i] >> 4, QC_E2M1) * scale;
    }
  }
}
QC_LEVELS(
    void, nibble_values, (const uint8_t *pairs, long count, long length, const float *scales, float *values),
    (pairs, count, length, scales, values))

QC_BODY void magnitudes_body(const float *x, long count, long length, float *largest) {
  for (long start = 0, group = 0; start < count; start += length, group++) {
    long end = start + length < count ? start + length : count;
    /* Magnitudes are ordered like their bit patterns; patterns above that of infinity are NaN. */
    int32_t found = 0;
    for (long i = start; i < end; i++) {
      int32_t bits = (int32_t)(bits_of(x[i]) & 0x7fffffff);
      bits = bits > 0x7f800000 ? 0 : bits;
      found = bits > found ? bits : found;
    }
    largest[group] = float_of((uint32_t)found);
  }
}
QC_LEVELS(void, magnitudes, (const float *x, long count, long length, float *largest), (x, count, length, largest))
