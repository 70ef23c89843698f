// 16-bit floats in integer arithmetic: the same bits on every processor, with or without conversion instructions.
#ifndef QC_HALF_FLOAT_H
#define QC_HALF_FLOAT_H

#include <stdint.h>
#include <string.h>

static inline uint32_t qc_float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static inline float qc_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline uint32_t qc_load_word(const uint8_t source[4]) {
  return (uint32_t)source[0] | (uint32_t)source[1] << 8 | (uint32_t)source[2] << 16 | (uint32_t)source[3] << 24;
}

// Rounds to nearest, ties to even; too large a value becomes infinite.
static inline uint16_t qc_half_bits(float value) {
  uint32_t bits = qc_float_bits(value);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff, half;
  if (magnitude > 0x7f800000) {
    half = 0x7e00;
  } else if (magnitude >= 0x47800000) {  // 2^16 and above
    half = 0x7c00;
  } else if (magnitude >= 0x38800000) {  // 2^-14: the smallest normal half
    // The rounding carry may run into the exponent, and at the top into infinity, as it should.
    half = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  } else {
    // Subnormal: adding 0.5 leaves the value in units of 2^-24 in the lowest bits, rounded by the addition.
    half = qc_float_bits(qc_float_from_bits(magnitude) + 0.5f) - 0x3f000000;
  }
  return (uint16_t)(half | sign);
}

static inline void qc_store_half_bits(uint8_t destination[2], uint16_t half) {
  destination[0] = (uint8_t)half;
  destination[1] = (uint8_t)(half >> 8);
}

static inline void qc_store_half(uint8_t destination[2], float value) { qc_store_half_bits(destination, qc_half_bits(value)); }

static inline float qc_load_half(const uint8_t source[2]) {
  uint32_t half = (uint32_t)source[0] | (uint32_t)source[1] << 8;
  uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff;
  if (exponent == 31) return qc_float_from_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) {
    float magnitude = (float)mantissa * 0x1p-24f;
    return qc_float_from_bits(qc_float_bits(magnitude) | sign);
  }
  return qc_float_from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

#endif
