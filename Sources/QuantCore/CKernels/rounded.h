#ifndef QC_ROUNDED_H
#define QC_ROUNDED_H

#include "levels.h"

#include <stdint.h>
#include <string.h>

/* Bit patterns of floats, and floats rounded to the types that models compute in. */

QC_BODY uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

QC_BODY float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

QC_BODY float rounded_to_bfloat(float value) {
  uint32_t bits = bits_of(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  return float_of((bits & 0x7fffffff) > 0x7f800000 ? bits | 0x400000 : rounded);
}

QC_BODY float rounded_to_half(float value) {
  uint32_t bits = bits_of(value), magnitude = bits & 0x7fffffff;
  /* Halves have 13 fewer bits of mantissa; below 2^-14 they are multiples of 2^-24, and adding 0.5 rounds to those. */
  float small = (float_of(magnitude) + 0.5f) - 0.5f;
  uint32_t normal = (magnitude + 0xfff + (magnitude >> 13 & 1)) & 0xffffe000;
  uint32_t result = magnitude < 0x38800000 ? bits_of(small) : normal;
  result = result >= 0x47800000 ? 0x7f800000 : result;
  result = magnitude > 0x7f800000 ? magnitude | 0x400000 : result;
  return float_of(result | (bits & 0x80000000));
}

QC_BODY float rounded(float value, int type) {
  return type == QC_BFLOAT ? rounded_to_bfloat(value) : type == QC_HALF ? rounded_to_half(value) : value;
}

#endif
